"""Checkpoints that are either whole or not there, and that hold data only."""

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch.serialization import get_unsafe_globals_in_checkpoint

from llm2comp.errors import UserError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's `CheckpointIO` that replaces a checkpoint only by a whole one, and loads no code.

    A checkpoint is written beside its place, synced to the disk and then renamed, so a full disk, Ctrl-C or SIGKILL
    in mid-save leaves the previous one as it was.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write `checkpoint` to `path`, whole or not at all.

        Raises:
            UserError: the file could not be written (full disk, no permission); nothing is left of the attempt.
            TypeError: the checkpoint holds objects other than tensors and plain data, so it could not be loaded.
        """
        assert storage_options is None
        path = Path(path)
        # One fixed name, so that what a killed process leaves behind is overwritten by the next save.
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write(checkpoint, temporary)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            kept = "; the previous checkpoint there is whole" if path.is_file() else ""
            raise UserError(
                f"could not write the checkpoint {path}: {error.strerror or error}{kept}. "
                "Make room or permit writing there, then resume from the last checkpoint"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read the checkpoint at `path`, always with `weights_only=True`, whatever the argument says.

        Raises:
            UserError: there is no such file, it is damaged, or it holds objects other than tensors and plain data.
        """
        try:
            return torch.load(path, map_location=map_location, weights_only=True)
        except FileNotFoundError as error:
            raise UserError(f"there is no checkpoint {path}") from error
        except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else "the file ends too early"
            raise UserError(
                f"could not read the checkpoint {path}: {reason}. It is damaged or of another kind; "
                "choose another checkpoint of the run"
            ) from error


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:
            # Torch's zip writer fails again while closing after a failed write, and so hides the cause.
            if cause := _os_error_behind(error):
                raise cause from error
            raise
        file.flush()
        os.fsync(file.fileno())
    if unsafe := get_unsafe_globals_in_checkpoint(path):
        raise TypeError(f"a checkpoint may hold tensors and plain data only, not {', '.join(sorted(unsafe))}")


def _os_error_behind(error: BaseException) -> OSError | None:
    link: BaseException | None = error
    while link is not None and not isinstance(link, OSError):
        link = link.__cause__ or link.__context__
    return link
