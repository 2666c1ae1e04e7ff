"""Loading a task's data: from the mirror under LLM2COMP_DATA and nowhere else, or from the hub."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datasets.config
import huggingface_hub.constants
from mteb.abstasks import AbsTask

from llm2comp.cache import cache_folder
from llm2comp.data.mirror import altered_file, data_folder, mirror_folder, mirrored_revision
from llm2comp.encoder.fingerprint import digest
from llm2comp.errors import UserError
from llm2comp.evaluation.mteb.damage import damaged_file, lost_rows

# Copies made by hand are known to differ from what the benchmark has.
_KNOWN_DIFFERENCES = {
    "BIOSSES": "all-MiniLM-L6-v2 gets 81.25 on the copy that is known here, and 81.64 is published",
    "EmotionClassification": "all-MiniLM-L6-v2 gets 40.8 on the copy that is known here, and 38.43 is published",
}


def missing_data(task: AbsTask) -> str | None:
    """What is wrong where the mirror does not have the task's data; None where nothing is, or there is no mirror."""
    folder = mirror_folder(task.metadata.dataset["path"])
    if folder is None:
        return None
    if not folder.is_dir():
        return f"{folder} is missing"
    there, wanted = mirrored_revision(folder), task.metadata.revision
    if there not in (None, wanted):
        return f"{folder} holds revision {there}, not {wanted}, which belongs in another LLM2COMP_DATA"
    if altered := altered_file(folder):
        return f"{altered}; move {folder} away"
    return None


def mirror_command(tasks: Iterable[str]) -> str:
    """What brings the data of tasks."""
    to = data_folder() or "DIR"
    return f"where there is a network, run: llm2comp data mirror --tasks {','.join(tasks)} --to {to}"


@contextmanager
def loaded(task: AbsTask) -> Iterator[None]:
    """The task with its data in memory; raises UserError for data that is not there or is damaged, saying where."""
    folder = mirror_folder(task.metadata.dataset["path"])
    if missing := missing_data(task):
        raise UserError(f"{missing}; {mirror_command([task.metadata.name])}")
    published = task.metadata
    if folder is not None:
        task.metadata = published.model_copy(update={"dataset": {**published.dataset, "path": str(folder)}})
    try:
        _load(task, folder)
        yield
    except UnicodeDecodeError as error:  # loading takes any bytes; the first to ask for the text fails
        if folder is None:
            raise
        raise UserError(_what_is_wrong(error, folder, task)) from error
    finally:
        if task.data_loaded:
            task.unload_data()
        task.metadata = published


def note_on_data(task: AbsTask) -> str | None:
    """What is known of the data that the task would be loaded from, where it may not be the benchmark's."""
    folder = mirror_folder(task.metadata.dataset["path"])
    known = _KNOWN_DIFFERENCES.get(task.metadata.name)
    if folder is None or known is None or mirrored_revision(folder) is not None:
        return None
    # Without the folder: it goes under tables that are shown to others.
    return (
        f"the copy of {task.metadata.dataset['path']} under LLM2COMP_DATA has no revision and may not be the "
        f"benchmark's: {known}."
    )


def _load(task: AbsTask, folder: Path | None) -> None:
    command = mirror_command([task.metadata.name])
    try:
        with nullcontext() if folder is None else _only_from(folder):
            task.load_data()
    except Exception as error:  # the libraries below raise their own for what is wrong with a file
        if folder is None:
            raise UserError(
                f"{task.metadata.dataset['path']} cannot be had from the hub ({_root(error)}); for a machine without "
                f"a network, {command}, and set LLM2COMP_DATA=DIR"
            ) from error
        raise UserError(_what_is_wrong(error, folder, task)) from error
    if folder is not None and mirrored_revision(folder) is None and (lost := lost_rows(task)):
        raise UserError(f"{folder} lacks {lost}: a file is not whole; move the folder away and, {command}")


def _what_is_wrong(error: Exception, folder: Path, task: AbsTask) -> str:
    """Which file, where one is damaged, or else what the error says."""
    wrong = damaged_file(folder) or f"{folder} cannot be loaded: {_root(error)}"
    return f"{wrong}; move the folder away and, {mirror_command([task.metadata.name])}"


@contextmanager
def _only_from(folder: Path) -> Iterator[None]:
    """The hub's libraries use no network, and nothing that they made of other files.

    Left alone, `datasets` does not see that files have changed, and takes two folders of the same name for one.
    """
    changes: list[tuple[Any, str, Any]] = [
        (huggingface_hub.constants, "HF_HUB_OFFLINE", True),
        (datasets.config, "HF_HUB_OFFLINE", True),
        (datasets.config, "HF_DATASETS_CACHE", cache_folder() / "datasets" / _state(folder)),
    ]
    before = [getattr(library, setting) for library, setting, _ in changes]
    try:
        for library, setting, value in changes:
            setattr(library, setting, value)
        yield
    finally:
        for (library, setting, _), value in zip(changes, before, strict=True):
            setattr(library, setting, value)


def _state(folder: Path) -> str:
    """Hex digest of where a folder is, and of the names, sizes and times of its files."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()]
    return digest(str(folder), sorted(files))


def _root(error: BaseException) -> str:
    """The first line of the error at the bottom of a chain, which says what the others wrap."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
