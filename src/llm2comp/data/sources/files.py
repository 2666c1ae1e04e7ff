"""Local files and folders of them."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from llm2comp.data.sources.document import Document
from llm2comp.data.sources.readers import ENDINGS, Record, read_records, read_rows
from llm2comp.data.sources.rows import group_rows
from llm2comp.errors import UserError


class Files:
    """Text of local files, read in the order given; one file's last article ends with the file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = [path.resolve() for path in paths]

    @classmethod
    def at(cls, path: Path) -> "Files":
        """A file, or every file below a folder, in sorted order; other and hidden files of a folder are passed over.

        Raises UserError for a file of another kind and for a folder without any.
        """
        kinds = ", ".join(ENDINGS)
        if path.is_file():
            if not path.name.lower().endswith(ENDINGS):
                raise UserError(f"{path} cannot be read as text; a file ends in one of {kinds}")
            return cls([path])
        paths = [
            below
            for below in sorted(path.rglob("*"))
            if below.name.lower().endswith(ENDINGS)
            and below.is_file()
            and not any(part.startswith(".") for part in below.relative_to(path).parts)
        ]
        if not paths:
            raise UserError(f"the folder {path} holds no file that ends in one of {kinds}")
        return cls(paths)

    def fingerprint(self) -> dict[str, Any]:
        states = [(path, path.stat()) for path in self.paths]
        return {"files": [[str(path), state.st_size, state.st_mtime_ns] for path, state in states]}

    def documents(self) -> Iterator[Document]:
        for path in self.paths:
            yield from group_rows(read_rows(path))

    def parts(self) -> list["Files"]:
        return [Files([path]) for path in self.paths]

    def records(self, columns: Collection[str]) -> Iterator[Record]:
        """The rows with at least those of the columns that they have."""
        for path in self.paths:
            yield from read_records(path, columns)
