"""`llm2comp fit` and `llm2comp validate`: LightningCLI with a run folder."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, LambdaCallback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from llm2comp.cli.finish import finish
from llm2comp.cli.parser import Parser
from llm2comp.data.datamodule import DataModule
from llm2comp.errors import unknown
from llm2comp.evaluation.mteb.after_training import loadable_tasks
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.encoder_training import EncoderTraining
from llm2comp.modules.final_validation import FinalValidation
from llm2comp.modules.interrupted_batch import InterruptedBatch
from llm2comp.modules.kept_checkpoints import KeptCheckpoints
from llm2comp.modules.movable_checkpoint import MovableCheckpoint
from llm2comp.modules.random_state import RandomState
from llm2comp.modules.token_count import TokenCount
from llm2comp.reporting.csv_logger import CSVLogger
from llm2comp.reporting.progress import StepProgress
from llm2comp.reporting.reconstructions import Reconstructions
from llm2comp.reporting.resumed_metrics import ResumedMetrics
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.run_record import RunRecord
from llm2comp.reporting.scrub import scrub
from llm2comp.reporting.throughput import Throughput
from llm2comp.reporting.wandb import agent_run, wandb_logger
from llm2comp.strategies import register
from llm2comp.strategies.environment import check_processes, end_with_launcher

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

# What is said at every start or end, and nobody acts on. The last is DeepSpeed, which transformers imports to save a
# model, whether it is used or not; with DeepSpeed there is a GPU.
CHATTER = ("GPU available", "TPU available", "💡 Tip", "`weights_only` was not set", "Setting accelerator to CPU")


class TrainingCLI(LightningCLI):
    """Reads experiments, names the run's folder, and measures the encoder before and after training."""

    run_folder: RunFolder
    tasks: "list[AbsTask]"

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(
            LightningModule,
            DataModule,
            subclass_mode_model=True,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            parser_class=Parser,
            parser_kwargs={"prog": "llm2comp"},
            args=arguments,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--experiment", type=str, default="experiment", help="Folder of the runs below --root.")
        parser.add_argument("--run", type=str | None, default=None, help="Name of the run; by default the time.")
        parser.add_argument("--root", type=str, default="lightning_logs", help="Folder of all experiments.")
        parser.add_argument("--monitor", type=str, default="val/loss", help="Metric that decides the best checkpoint.")
        parser.add_argument(
            "--monitor_mode", type=str, default="min", help="Whether less (min) or more (max) is better."
        )
        parser.add_argument("--checkpoint_every", type=int, default=100, help="Optimizer steps between checkpoints.")
        parser.add_argument(
            "--keep_checkpoints",
            type=int | Literal["all"],
            default=0,
            help="How many checkpoints to keep besides the last and the best, for llm2comp analyze --checkpoints: the "
            "newest so many, or all. They hold what trains: adapters and memory tokens, or else the whole model.",
        )
        parser.add_argument(
            "--evaluate_on",
            type=str | None,
            default=None,
            help="MTEB tasks, or a set of them, to score the encoder on after training, as for llm2comp evaluate.",
        )
        parser.add_argument(
            "--log_encoder", type=bool, default=False, help="Whether to send the encoder folder to W&B, as an artifact."
        )

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        config.root = str(Path(config.root).expanduser())
        if config.ckpt_path == "last":
            if run := config.run or os.environ.get("LLM2COMP_RUN"):
                self.run_folder = RunFolder(Path(config.root), config.experiment, run)
            else:
                self.run_folder = RunFolder.newest(config.root, config.experiment)
            config.ckpt_path = str(self.run_folder.last_checkpoint)
        elif self.subcommand == "fit":
            self.run_folder = RunFolder.new(config.root, config.experiment, config.run or agent_run())
        end_with_launcher()
        check_processes(config.trainer.devices, config.trainer.num_nodes)
        if self.subcommand == "fit":
            self.tasks = loadable_tasks(config.evaluate_on) if config.evaluate_on else []
            # Processes that a launcher starts from this one must agree on the run's name.
            os.environ["LLM2COMP_RUN"] = self.run_folder.run

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self.subcommand != "fit":
            return super().instantiate_trainer(logger=False, **kwargs)
        run, settings = self.run_folder, self._get(self.config_init, "trainer")
        settings["plugins"] = [*_list(settings["plugins"]), AtomicCheckpointIO()]
        # Nothing is written before training starts: a run that is refused, new or resumed, leaves what there was.
        begin = LambdaCallback(on_train_start=lambda *_: self._begin())
        ours = [begin, RandomState(), InterruptedBatch(), TokenCount(), ResumedMetrics(), Throughput()]
        ours.append(FinalValidation())
        if settings["enable_progress_bar"] is not False:
            ours.append(StepProgress())
        if settings["enable_checkpointing"] is not False:
            ours += self._checkpoints()
        settings["callbacks"] = [*_list(settings["callbacks"]), *ours]
        if settings["logger"] is not False:
            more = [logger for logger in _list(settings["logger"]) if isinstance(logger, Logger)]
            assert isinstance(self.model, EncoderTraining)
            job_type = type(self.model.objective).__name__
            kwargs["logger"] = [CSVLogger(run.path), wandb_logger(run, self.config.fit.as_dict(), job_type), *more]
            settings["callbacks"] += [RunRecord(self.model.spec.name, self.model.encoder_config), Reconstructions()]
        return super().instantiate_trainer(**kwargs)

    def _checkpoints(self) -> list[Callback]:
        config, folder = self.config.fit, self.run_folder.checkpoints
        best = MovableCheckpoint(
            folder, "best", monitor=config.monitor, mode=config.monitor_mode, enable_version_counter=False
        )
        last = MovableCheckpoint(
            folder,
            "last",
            every_n_train_steps=config.checkpoint_every,
            save_on_exception=True,
            enable_version_counter=False,
        )
        if config.keep_checkpoints == 0:
            return [best, last]
        count = None if config.keep_checkpoints == "all" else config.keep_checkpoints
        return [best, KeptCheckpoints(folder, config.checkpoint_every, count), last]

    def before_fit(self) -> None:
        self.datamodule.settings.shared_by(self.trainer.world_size)  # raises before anything is computed
        if self.config.fit.ckpt_path is None:
            self.trainer.validate(self.model, datamodule=self.datamodule, verbose=False)
            measured = self.trainer.callback_metrics
            if measured and self.config.fit.monitor not in measured:
                raise unknown("metric to monitor", self.config.fit.monitor, measured)

    def fit(self, model: LightningModule, **options: Any) -> None:
        """Train; after Ctrl-C, say how to go on."""
        try:
            self.trainer.fit(model, **options)
        except SystemExit:  # how Lightning ends after Ctrl-C
            if self.trainer.is_global_zero and self.run_folder.last_checkpoint.is_file():
                name = self.run_folder.name
                print(f"Stopped; {name} is saved. To go on: the same command with --ckpt_path last", file=sys.stderr)
            raise

    def after_fit(self) -> None:
        config = self.config.fit.as_dict()
        finish(self.trainer, self.model, self.datamodule, self.run_folder, config, self.tasks)

    @rank_zero_only
    def _begin(self) -> None:
        """Write the configuration; a run that goes on after it was finished is not finished any more."""
        run = self.run_folder
        run.path.mkdir(parents=True, exist_ok=True)
        config = self.config.fit.clone()
        config.ckpt_path = None  # the file tells what the run is, not where it was taken up again
        written = yaml.safe_load(self._parser(self.subcommand).dump(config, skip_none=False))
        run.config.write_text(yaml.safe_dump(scrub(written), sort_keys=False, allow_unicode=True), encoding="utf-8")
        run.results.unlink(missing_ok=True)


def main(arguments: list[str]) -> None:
    """Train or validate."""
    for handler in logging.getLogger("lightning.pytorch").handlers:
        handler.addFilter(_worth_saying)
    logging.getLogger("DeepSpeed").addFilter(_worth_saying)
    for noise in ("LightningCLI's args parameter", ".*LeafSpec", ".*in eval mode at the start", ".*callbacks used to"):
        warnings.filterwarnings("ignore", message=noise)
    register()
    TrainingCLI(arguments)


def _worth_saying(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(CHATTER)


def _list(value: Any) -> list[Any]:
    """What a Trainer takes as one or several, as several."""
    return value if isinstance(value, list) else [] if value is None else [value]
