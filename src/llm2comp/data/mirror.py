"""Where local copies of the hub's data sets lie: `mirror/org/name` in the folder that LLM2COMP_DATA names."""

import os
from pathlib import Path

from llm2comp.data.sources.readers import ENDINGS

MIRROR = "mirror"

# Says at which revision of its repository a copy was taken, and below that the size and the name of each of its files;
# copies made by hand have none.
_REVISION = ".revision"


def data_folder() -> Path | None:
    """The folder that LLM2COMP_DATA names; None where it is unset, and data comes from the hub."""
    data = os.environ.get("LLM2COMP_DATA")
    return Path(data).expanduser().absolute() if data else None


def mirror_folder(dataset: str) -> Path | None:
    """Where the copy of the data set `org/name` belongs, there or not; None where LLM2COMP_DATA is unset."""
    data = data_folder()
    return None if data is None else data / MIRROR / dataset


def split_files(folder: Path, split: str, config: str | None = None) -> list[Path]:
    """The files of a split in the copy of a data set: `split*` in `config/`, `data/` or the folder itself."""
    for place in (*([folder / config] if config else []), folder / "data", folder):
        paths = [path for path in sorted(place.glob(f"{split}[.-]*")) if path.name.lower().endswith(ENDINGS)]
        if paths:
            return paths
    return []


def mirrored_revision(folder: Path) -> str | None:
    """The revision at which a copy was taken, where that is known."""
    return next(iter(_record(folder)), None)


def record_revision(folder: Path, revision: str) -> None:
    """Write down the revision at which a copy was taken, and how large its files are."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _REVISION)
    lines = [revision, *(f"{path.stat().st_size} {path.relative_to(folder).as_posix()}" for path in files)]
    (folder / _REVISION).write_text("\n".join(lines) + "\n", encoding="utf-8")


def altered_file(folder: Path) -> str | None:
    """The first file that is missing from a copy or as large as it was no more; None where none is known to be."""
    for line in _record(folder)[1:]:
        size, _, name = line.partition(" ")
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_size != int(size):
            return f"{path} has {path.stat().st_size:,} bytes in place of {int(size):,}"
    return None


def _record(folder: Path) -> list[str]:
    path = folder / _REVISION
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
