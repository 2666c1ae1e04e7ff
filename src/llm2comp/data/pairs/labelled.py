"""Labelled and scored sentence pairs as queries with positives and hard negatives."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from llm2comp.data.pairs.layouts import LabelledLayout
from llm2comp.data.pairs.pair import Pair
from llm2comp.errors import UserError

_POSITIVE, _NEGATIVE = "entailment", "contradiction"
_UNUSED = frozenset({"neutral", "-", ""})


class LabelledPairs:
    """Gathers rows by their first sentence: what it entails is its positives, what contradicts it its hard negatives.

    Of scored pairs, those that score at least `min_score` are positives; a low score makes no hard negative, for
    what is merely unlike is no harder than the other pairs of a batch.
    """

    def __init__(self, min_score: float | None) -> None:
        self.min_score = min_score
        self._by_query: dict[str, tuple[list[str], list[str]]] = {}

    def add(self, columns: Mapping[str, Any], layout: LabelledLayout, where: str) -> None:
        """Raises UserError, naming `where`, for sentences that are not strings and labels that mean nothing here."""
        first, second = columns[layout.sentence1], columns[layout.sentence2]
        for key, value in ((layout.sentence1, first), (layout.sentence2, second)):
            if not isinstance(value, str):
                raise UserError(f"{where}: {key!r} is not a string but {value!r}")
        label = next(columns[key] for key in layout.labels if key in columns)
        positives, negatives = self._by_query.setdefault(first, ([], []))
        if self._is_positive(label, where):
            positives.append(second)
        elif label == _NEGATIVE:
            negatives.append(second)

    def pairs(self) -> Iterator[Pair]:
        """One for every first sentence; those without a positive too, for the reader to count."""
        for query, (positives, negatives) in self._by_query.items():
            yield Pair(query, list(dict.fromkeys(positives)), list(dict.fromkeys(negatives)), query.strip())

    def _is_positive(self, label: Any, where: str) -> bool:
        if isinstance(label, str):
            if label not in {_POSITIVE, _NEGATIVE, *_UNUSED}:
                raise UserError(f"{where}: the label {label!r} is none of {_POSITIVE}, {_NEGATIVE} and neutral")
            return label == _POSITIVE
        if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
            raise UserError(f"{where}: the label is neither a word nor a number but {label!r}")
        if self.min_score is None:
            raise UserError(
                f"{where}: the pairs are scored ({label}); say from which score on they are positives, with "
                "`min_score` in the data set's entry, or write the labels of entailment as words"
            )
        return label >= self.min_score
