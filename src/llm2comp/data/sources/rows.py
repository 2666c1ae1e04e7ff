"""From the rows of a file or data set to documents."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from llm2comp.data.sources.document import Document
from llm2comp.errors import UserError

COLUMNS = ("id", "title", "text", "paragraphs")
# WikiText writes an article's title as ` = Title = ` and the headings below it as ` = = Heading = = `.
_HEADING = re.compile(r"=( =)* .+ =( =)*")
_TITLE = re.compile(r"= (?!= )(.+)(?<! =) =")


class Row(NamedTuple):
    """The non-blank lines of a row, and the id or title of its document where the row says it."""

    paragraphs: list[str]
    id: str | None = None


def row(record: Mapping[str, Any], where: str) -> Row:
    """The row of a record with `text` (a string, one paragraph a line) or `paragraphs` (a list of them).

    Raises UserError, naming `where`, for a record with neither.
    """
    paragraphs = record.get("paragraphs")
    if paragraphs is None and isinstance(record.get("text"), str):
        paragraphs = record["text"].splitlines()
    if not isinstance(paragraphs, list) or not all(isinstance(p, str) for p in paragraphs):
        raise UserError(
            f"{where}: a row needs 'text' (a string) or 'paragraphs' (a list of strings); "
            f"this one has {', '.join(map(repr, record)) or 'nothing'}"
        )
    named = record.get("id", record.get("title"))
    return Row([line for p in paragraphs if (line := p.strip())], None if named is None else str(named))


def group_rows(rows: Iterable[Row]) -> Iterator[Document]:
    """Documents of the rows.

    A row of one line that reads ` = Title = ` (WikiText) starts a document and the one-line rows after it belong to
    it. Every other row is a document of its own, named by its text where it has no id.
    """
    article: Document | None = None
    for paragraphs, named in rows:
        if named is None and len(paragraphs) == 1:
            if title := _TITLE.fullmatch(paragraphs[0]):
                if article is not None:
                    yield article
                article = Document(title[1], [])
                continue
            if article is not None:
                if not _HEADING.fullmatch(paragraphs[0]):
                    article.paragraphs.append(paragraphs[0])
                continue
        if paragraphs:
            yield Document(named if named is not None else _digest(paragraphs), paragraphs)
    if article is not None:
        yield article


def _digest(paragraphs: list[str]) -> str:
    return hashlib.blake2b("\n".join(paragraphs).encode(), digest_size=16).hexdigest()
