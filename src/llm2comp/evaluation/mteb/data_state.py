"""Telling the data that a score was computed on from what is there now."""

import hashlib
from pathlib import Path

from mteb.abstasks import AbsTask

from llm2comp.data.mirror import mirror_folder, mirrored_revision
from llm2comp.encoder.fingerprint import digest


def data_state(task: AbsTask) -> str | None:
    """What, besides its revision, tells the data that the task would load from other data; None where none is there.

    Of a copy made by hand, the digest of its files; empty where the revision tells all, as of what comes from the hub.
    """
    folder = mirror_folder(task.metadata.dataset["path"])
    if folder is None:
        return ""
    if not folder.is_dir():
        return None
    if mirrored_revision(folder) is not None:
        return ""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([(path.relative_to(folder).as_posix(), _contents(path)) for path in files])


def _contents(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
