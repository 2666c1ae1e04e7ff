"""The validation that ends a run."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class FinalValidation(Callback):
    """Lets training end with a validation wherever its interval falls, so that the last weights may be the best."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        max_epochs = trainer.max_epochs or -1
        last_epoch = 0 <= max_epochs <= trainer.current_epoch + 1
        if trainer.global_step == trainer.max_steps or (last_epoch and trainer.is_last_batch):
            trainer.should_stop = True  # Lightning validates before it stops
