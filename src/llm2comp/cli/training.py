"""`llm2comp fit` and `llm2comp validate`: LightningCLI with a run folder."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only

from llm2comp.cli.finish import finish
from llm2comp.data.datamodule import DataModule
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.random_state import RandomState
from llm2comp.reporting.csv_logger import CSVLogger
from llm2comp.reporting.progress import StepProgress
from llm2comp.reporting.resumed_metrics import ResumedMetrics
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.throughput import Throughput
from llm2comp.reporting.wandb import wandb_logger


class TrainingCLI(LightningCLI):
    """Reads experiments, names the run's folder, and measures the encoder before and after training."""

    run_folder: RunFolder

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--experiment", type=str, default="experiment", help="Folder of the runs below --root.")
        parser.add_argument("--run", type=str | None, default=None, help="Name of the run; by default the time.")
        parser.add_argument("--root", type=str, default="lightning_logs", help="Folder of all experiments.")
        parser.add_argument("--monitor", type=str, default="val/loss", help="Metric that decides the best checkpoint.")
        parser.add_argument("--monitor_mode", type=str, default="min", help="Whether less (min) or more (max) is better.")
        parser.add_argument("--checkpoint_every", type=int, default=100, help="Optimizer steps between checkpoints.")

    def before_instantiate_classes(self) -> None:
        if self.subcommand != "fit":
            return
        config = self.config.fit
        if config.ckpt_path == "last":
            if config.run is not None:
                self.run_folder = RunFolder(Path(config.root), config.experiment, config.run)
            else:
                self.run_folder = RunFolder.newest(config.root, config.experiment)
            config.ckpt_path = str(self.run_folder.last_checkpoint)
        else:
            self.run_folder = RunFolder.new(config.root, config.experiment, config.run)
        # Processes that a launcher starts from this one must agree on the run's name.
        os.environ["LLM2COMP_RUN"] = self.run_folder.run

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        if self.subcommand != "fit":
            return super().instantiate_trainer(logger=False, **kwargs)
        run, config = self.run_folder, self.config.fit
        settings = self._get(self.config_init, "trainer")
        settings["plugins"] = [*(settings["plugins"] or []), AtomicCheckpointIO()]
        settings["callbacks"] = [*(settings["callbacks"] or []), *self._callbacks()]
        if settings["logger"] is not False:
            resolved = config.as_dict()
            kwargs["logger"] = [CSVLogger(run.path), wandb_logger(run, resolved)]
        return super().instantiate_trainer(**kwargs)

    def _callbacks(self) -> list[Any]:
        config, folder = self.config.fit, self.run_folder.checkpoints
        best = ModelCheckpoint(
            folder, "best", monitor=config.monitor, mode=config.monitor_mode, enable_version_counter=False
        )
        last = ModelCheckpoint(
            folder,
            "last",
            every_n_train_steps=config.checkpoint_every,
            save_on_exception=True,
            enable_version_counter=False,
        )
        return [StepProgress(), RandomState(), ResumedMetrics(), Throughput(), best, last]

    def before_fit(self) -> None:
        self._save_config()
        if self.config.fit.ckpt_path is None:
            self.trainer.validate(self.model, datamodule=self.datamodule, verbose=False)

    def after_fit(self) -> None:
        finish(self.trainer, self.model, self.datamodule, self.run_folder, self.config.fit.as_dict())

    @rank_zero_only
    def _save_config(self) -> None:
        self.run_folder.path.mkdir(parents=True, exist_ok=True)
        parser = self._parser(self.subcommand)
        parser.save(self.config.fit, self.run_folder.config, skip_none=False, overwrite=True, multifile=False)


def main(arguments: list[str]) -> None:
    """Train or validate; after Ctrl-C, say how to go on."""
    # Not ours to act on, and they bury what is.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r"LightningCLI's args parameter|.*LeafSpec")
    try:
        TrainingCLI(
            LightningModule,
            DataModule,
            subclass_mode_model=True,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=arguments,
        )
    except SystemExit as stop:
        run = os.environ.get("LLM2COMP_RUN")
        if stop.code == 1 and run is not None:
            print(f"Stopped; the run {run} is saved. To go on: the same command with --ckpt_path last", file=sys.stderr)
        raise
