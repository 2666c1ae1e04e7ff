"""Checkpoints that are saved in the middle of a batch."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class InterruptedBatch(Callback):
    """Takes a batch that was begun and not trained on, as Ctrl-C leaves it, out of the count in the checkpoint.

    The batch comes again after a resume; were it counted twice, each validation would come a step too early.
    """

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        total = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]
        total["ready"] = total["started"] = total["processed"]
