"""What a resumed run does with metrics that were logged after its checkpoint."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from llm2comp.reporting.csv_logger import CSVLogger


class ResumedMetrics(Callback):
    """Drops the metrics of the steps that a resumed run takes again, so that none is there twice."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            return
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.drop_from(trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        # What Lightning logs by. Where Ctrl-C came between two batches, the checkpoint's count may be one off.
        trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step
