"""The weights of a run on its way."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from llm2comp.errors import UserError


class KeptCheckpoints(Checkpoint):
    """Saves what trains as `step=<N>.ckpt` every so many optimizer steps, and keeps the newest `count`, or all.

    The files hold no state of the optimizer: they are for looking at, and no run goes on from them. Which are there is
    read from the folder, so a run that was killed, moved or resumed with another `count` keeps the right ones.

    Raises UserError for numbers below 1.
    """

    def __init__(self, folder: Path, every: int, count: int | None) -> None:
        if every < 1 or (count is not None and count < 1):
            raise UserError(
                f"to keep checkpoints, checkpoint_every and keep_checkpoints must be over 0, not {every} and {count}"
            )
        self._folder, self._every, self._count = folder, every, count
        self._saved = 0  # the step; weights that did not train yet need no file

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        # The batches of one accumulated step all end with the number of the step before.
        if step % self._every or step == self._saved or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        trainer.save_checkpoint(self._folder / f"step={step}.ckpt", weights_only=True)
        self._saved = step
        if self._count is not None and trainer.is_global_zero:
            for old in kept_checkpoints(self._folder)[: -self._count]:
                old.unlink()


def kept_checkpoints(folder: Path) -> list[Path]:
    """The files in order of their steps."""
    return sorted(folder.glob("step=*.ckpt"), key=lambda path: int(path.stem.removeprefix("step=")))
