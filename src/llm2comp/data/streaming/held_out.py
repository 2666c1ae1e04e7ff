"""What a stream holds out: documents, or pairs, drawn by their ids as `held_out_documents` draws them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from llm2comp.data.hashing import hash_text
from llm2comp.data.held_out import draws
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.data.sources.document import Document, Source
from llm2comp.errors import UserError

COUNT = 2000  # paragraphs or pairs to validate on: the first of those that are held out
_AT_ONCE = 1000

Item = TypeVar("Item")


def marked(items: Iterable[Item], key: Callable[[Item], str], fraction: float) -> Iterator[tuple[Item, bool]]:
    """The items and whether each is held out, which hangs on its key alone."""
    if not fraction:
        yield from ((item, False) for item in items)
    items = iter(items)
    while some := list(islice(items, _AT_ONCE)):
        hashes = np.array([hash_text(key(item)) for item in some], np.uint64)
        yield from zip(some, (draws(hashes) < fraction).tolist(), strict=True)


class HeldOutDocuments:
    """The source of a stream's validation text: its first held-out documents, until they have `COUNT` paragraphs."""

    def __init__(self, name: str, source: Source, fraction: float, min_characters: int) -> None:
        self.name, self.source, self.fraction, self.min_characters = name, source, fraction, min_characters

    def fingerprint(self) -> dict[str, Any]:
        return {**self.source.fingerprint(), "held_out": [self.fraction, COUNT]}

    def parts(self) -> list["HeldOutDocuments"]:
        return [self]

    def documents(self) -> Iterator[Document]:
        found = read = 0
        for document, held_out in marked(self._all(), lambda document: document.id, self.fraction):
            read += 1
            if held_out:
                yield document
                found += sum(len(paragraph) >= self.min_characters for paragraph in document.paragraphs)
                if found >= COUNT:
                    return
        if not found:
            raise _nothing(self.name, f"{read:,} documents", self.fraction)

    def _all(self) -> Iterator[Document]:
        for part in self.source.parts():
            yield from part.documents()


class HeldOutPairs:
    """The first `COUNT` held-out pairs of a stream."""

    def __init__(self, pairs: PairSource, fraction: float) -> None:
        self.source, self.fraction = pairs, fraction

    def fingerprint(self) -> dict[str, Any]:
        return {**self.source.fingerprint(), "held_out": [self.fraction, COUNT]}

    def pairs(self, report: PairReport) -> Iterator[Pair]:
        found = 0
        for pair, held_out in marked(self.source.pairs(report), lambda pair: pair.group, self.fraction):
            if held_out:
                found += 1
                yield pair
                if found == COUNT:
                    break
        if not found:
            raise _nothing(self.source.name, f"{report.pairs:,} pairs", self.fraction)
        report.pairs = found


def _nothing(name: str, read: str, fraction: float) -> UserError:
    return UserError(
        f"none of the {read} of {name} is held out by validation_fraction={fraction}; raise it, set it to 0 for no "
        "validation, or name a `validation` source"
    )
