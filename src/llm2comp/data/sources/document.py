"""The unit of text that is never cut in two by a train/validation split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Document:
    """An article, or whatever else the paragraphs were written as one of. Ids need not be unique: two documents of
    one id are held out together."""

    id: str
    paragraphs: list[str]


class Source(Protocol):
    """Text by name; it is read again only when `fingerprint` changes."""

    def fingerprint(self) -> dict[str, Any]:
        """What tells this text from any other, as JSON; cheap, without reading the text."""
        ...

    def documents(self) -> Iterator[Document]: ...

    def parts(self) -> Sequence["Source"]:
        """The source in pieces, such as its files, each of which is read without the others; always in one order."""
        ...
