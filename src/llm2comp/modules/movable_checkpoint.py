"""Keeping checkpoints in a folder that may move."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

_FOLDER = "."


class MovableCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` whose state names its files within their folder, and never where that lies.

    So a run folder may be moved and resumed, and a checkpoint that is handed on tells nobody's paths. In another
    folder, where the files it names are not, the state is left aside: a new run finds its own best.

    An exception is a reason to save only where there is one process: another's would not come to take part.
    """

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if trainer.world_size == 1:
            super().on_exception(trainer, pl_module, exception)

    def state_dict(self) -> dict[str, Any]:
        return _moved(super().state_dict(), str(self.dirpath), _FOLDER)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        here = _moved(state_dict, _FOLDER, str(self.dirpath))
        if Path(here["best_model_path"]).is_file():
            super().load_state_dict(here)


def _moved(value: Any, old: str, new: str) -> Any:
    """Plain data with all paths of the folder `old`, and of files in it, as they are in `new`."""
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(item, old, new) for key, item in value.items()}
    if isinstance(value, str) and (value == old or value.startswith(f"{old}/")):
        return new + value.removeprefix(old)
    return value
