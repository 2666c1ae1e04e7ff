"""Pairs from any source: rows in a layout of pairs, or plain texts, each paired with itself."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from llm2comp.data.hashing import hash_text
from llm2comp.data.pairs.labelled import LabelledPairs
from llm2comp.data.pairs.layouts import COLUMNS, LABELLED_LAYOUTS, LAYOUTS, Layout, layout_of, read_pair, unknown_layout
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.sources import rows
from llm2comp.data.sources.document import Source
from llm2comp.data.sources.files import Files
from llm2comp.data.sources.hub import HubDataset
from llm2comp.data.sources.hub_shard import HubShard
from llm2comp.data.sources.registry import open_source
from llm2comp.errors import UserError


class PairSource:
    """The pairs of a source by name (see `open_source`), or of `source`, a part of it.

    A source of plain text gives each paragraph of at least `min_characters` as a pair with itself, so that dropout
    makes the two views of SimCSE (Gao et al. 2021, arXiv 2104.08821); it is held out by the document. Whether a file
    holds pairs or text is seen from its first row.
    """

    def __init__(self, name: str, min_characters: int, min_score: float | None, source: Source | None = None) -> None:
        self.name = name
        self.source = source or open_source(name)
        self.min_characters, self.min_score = min_characters, min_score

    def fingerprint(self) -> dict[str, Any]:
        spellings = [layout.spelling for layout in (*LAYOUTS, *LABELLED_LAYOUTS)]
        options = {"min_characters": self.min_characters, "min_score": self.min_score, "layouts": spellings}
        return {"name": self.name, **self.source.fingerprint(), **options}

    def pairs(self, report: PairReport) -> Iterator[Pair]:
        """Whole, distinct pairs, with what is left out counted. Raises UserError for a row that is malformed."""
        seen: set[int] = set()
        for pair in self._read(report):
            cleaned = _cleaned(pair, report)
            if cleaned is None:
                continue
            key = hash_text(repr((cleaned.query, cleaned.positives, cleaned.negatives, cleaned.instruction)))
            if key in seen:
                report.duplicates += 1
                continue
            seen.add(key)
            report.pairs += 1
            yield cleaned

    def _read(self, report: PairReport) -> Iterator[Pair]:
        if not isinstance(self.source, Files | HubDataset | HubShard) or _is_text(self.source):
            return self._texts(report)
        return self._rows(self.source, report)

    def _texts(self, report: PairReport) -> Iterator[Pair]:
        for document in self.source.documents():
            for paragraph in document.paragraphs:
                report.rows_read += 1
                if len(paragraph) < self.min_characters:
                    report.too_short += 1
                else:
                    yield Pair(paragraph, [paragraph], [], document.id)

    def _rows(self, source: Files | HubDataset | HubShard, report: PairReport) -> Iterator[Pair]:
        labelled = LabelledPairs(self.min_score)
        for where, columns in source.records(COLUMNS):
            report.rows_read += 1
            layout = layout_of(columns)
            if layout is None:
                raise unknown_layout(columns, where)
            if isinstance(layout, Layout):
                yield read_pair(columns, layout, where)
            else:
                labelled.add(columns, layout, where)
        yield from labelled.pairs()


def _is_text(source: Files | HubDataset | HubShard) -> bool:
    first = next(islice(source.records({*COLUMNS, *rows.COLUMNS}), 1), None)
    if first is None:
        raise UserError(f"there is not one row in {source.fingerprint()}")
    return layout_of(first.columns) is None and ("text" in first.columns or "paragraphs" in first.columns)


def _cleaned(pair: Pair, report: PairReport) -> Pair | None:
    """The pair without blank texts and negatives that equal a positive; None if it has no query or no positive."""
    query = pair.query.strip()
    positives, negatives = ([text.strip() for text in texts] for texts in (pair.positives, pair.negatives))
    if not positives and query:
        report.without_positive += 1
        return None
    if not query or not any(positives):
        report.empty_rows += 1
        return None
    report.empty_texts += positives.count("") + negatives.count("")
    positives = list(dict.fromkeys(text for text in positives if text))
    report.negatives_equal_positive += sum(text in positives for text in negatives)
    negatives = list(dict.fromkeys(text for text in negatives if text and text not in positives))
    return Pair(query, positives, negatives, pair.group, pair.instruction)
