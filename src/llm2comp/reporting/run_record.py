"""What of a run is known only as training starts, in its W&B configuration."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only

from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.naming import display_name
from llm2comp.reporting.encoder_artifact import artifact_name
from llm2comp.reporting.run_logger import run_loggers
from llm2comp.reporting.scrub import scrub


class RunRecord(Callback):
    """Records which text is trained on, by content, how many parameters train, and the stage that training starts from.

    The encoder of the stage before is linked as an artifact where the run is online and that one was sent.

    Args:
        start: the folder or name of the model that training starts from.
        config: what is recorded of it.
    """

    def __init__(self, start: str, config: EncoderConfig) -> None:
        self._start = start
        self._config = config

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers = run_loggers(trainer.loggers)
        if not loggers:
            return
        trains = sum(parameter.numel() for parameter in pl_module.parameters() if parameter.requires_grad)
        corpus = trainer.datamodule.training_corpus  # type: ignore[attr-defined]
        record = {"corpus": corpus, "trainable_parameters": trains}
        before = self._stage_before()
        for logger in loggers:
            logger.attempt(lambda run: run.config.update(scrub(record | before), allow_val_change=True))
            if before:
                logger.attempt(lambda run: _link(run, before["start"]["artifact"]))

    def _stage_before(self) -> dict[str, Any]:
        folder = Path(self._start).expanduser()
        if not (self._config.stages and folder.is_dir()):
            return {}
        stages = [stage.get("stage", "stage") for stage in self._config.stages]
        return {"start": {"name": display_name(self._start), "stages": stages, "artifact": artifact_name(folder)}}


def _link(run: Any, artifact: str) -> None:
    if not run.offline:
        with suppress(wandb.Error):  # the run that made it was not sent
            run.use_artifact(f"{artifact}:latest")
