"""What can be trained on while it is read."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm2comp.data.hashing import hash_text
from llm2comp.data.sources.document import Source


@dataclass(frozen=True)
class StreamedSource:
    """A source to be read while training goes on.

    `held_out_fraction` is the share of documents, or pairs, that is never trained on, and `held_out_hashes` are the
    hashes of the validation texts, or queries, which are not trained on wherever they stand.
    """

    name: str
    source: Source
    held_out_fraction: float = 0.0
    held_out_hashes: frozenset[int] = field(default=frozenset(), repr=False)

    def identity(self) -> dict[str, int]:
        """What a place in the source hangs on: the names of its files and what of them is held out. Not their sizes,
        so that a run which a damaged file has stopped goes on when the file is repaired."""
        held_out = [self.held_out_fraction, sorted(self.held_out_hashes)]
        return {"files": _number([name for name, _ in self._files()]), "held_out": _number(held_out)}

    @property
    def content(self) -> dict[str, Any]:
        """As that of a `Subset`, but the number of `examples` is not known, and the `checksum` is of the names and the
        sizes of the files, not of what stands in them."""
        return {"examples": None, "checksum": f"{_number(self._files()):016x}"}

    def describe(self) -> str:
        """How much there is to read, as far as that is known without reading it."""
        files = self.source.fingerprint().get("files")
        if files is None:
            return f"{self.name}, read while training goes on"
        megabytes = sum(size for _, size, _ in files) / 1e6
        return f"{self.name}, {len(files):,} files of {megabytes:,.1f} MB, read while training goes on"

    def _files(self) -> list[Any]:
        fingerprint = self.source.fingerprint()
        if "files" in fingerprint:
            return [[Path(path).name, size] for path, size, _ in fingerprint["files"]]
        return [[json.dumps(fingerprint, sort_keys=True), 0]]


def _number(content: Any) -> int:
    return hash_text(json.dumps(content)) >> 1


class Streamed(ABC):
    """The items of a source, such as paragraphs, and the batches that some of them make."""

    source: Source

    @abstractmethod
    def items(self, part: Source) -> Iterator[Any]:
        """The items of a part of the source to train on, in the same order at every call."""

    def keeps(self, item: Any) -> bool:
        """Whether an item that is a process's share is trained on; only that process asks."""
        return True

    @abstractmethod
    def batches(self, items: list[Any], epoch: int) -> list[Any]:
        """The batches of a buffer, in random order."""

    @abstractmethod
    def too_few(self, processes: int) -> str:
        """The error where a process has no item of its own."""

    @abstractmethod
    def no_batch(self) -> str:
        """The error where the items of a whole epoch make no batch."""
