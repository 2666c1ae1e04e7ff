"""Keeps texts of evaluation sets out of training."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tqdm import tqdm

from llm2comp.data.cache import cached
from llm2comp.data.evaluation_texts import evaluation_sets
from llm2comp.data.near_duplicates import NearDuplicates
from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.token_store import TokenStore
from llm2comp.errors import UserError

Guard = Literal["refuse", "drop", "off"]
# Raise it when what counts as the same text changes.
CODE_VERSION = 1
_QUIET_SECONDS = 2.0  # progress is shown on what takes longer


class Found(NamedTuple):
    """The pairs [N] bool that have a text of an evaluation set, and how many have one of each set."""

    pairs: np.ndarray
    by_set: dict[str, int]

    def describe(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self.by_set.items(), key=lambda i: -i[1]))
        return f"{self.pairs.sum():,} of {len(self.pairs):,} pairs, which have texts of evaluation sets ({counts})"


class EvaluationGuard:
    """Finds training pairs with a text that stands, exactly or nearly (see `NearDuplicates`), in an evaluation set.

    The sets are those of `evaluation_sets`. What is found is kept, so that a second run reads none of them.
    """

    def __init__(self, mode: Guard) -> None:
        self.mode = mode
        self.sets = evaluation_sets() if mode != "off" else []

    def notices(self) -> list[str]:
        """What to tell a user whose data are compared with nothing."""
        if self.mode == "off" or self.sets:
            return []
        return ["guard: there is no evaluation set to compare the training texts with; LLM2COMP_DATA names none"]

    def evaluated_pairs(self, corpus: PairCorpus, source: str) -> Found:
        """The pairs of which any text is in a set; none with `off`. A text counts for each set it stands in.

        With `refuse`, raises UserError where there is one.
        """
        found = np.zeros(len(corpus), bool)
        by_set: dict[str, int] = {}
        if self.sets:
            texts, labels = self._overlap(corpus.texts)
            for label in np.unique(labels):
                mask = np.zeros(len(corpus.texts), bool)
                mask[texts[labels == label]] = True
                pairs = corpus.any_text(mask)
                by_set[self.sets[label].name], found = int(pairs.sum()), found | pairs
        result = Found(found, by_set)
        if self.mode == "refuse" and found.any():
            raise UserError(f"{source} has {result.describe()}; set guard to drop to leave them out")
        return result

    def read(self) -> None:
        """Read the sets now, so that worker processes need not."""
        if self.sets:
            _ = self._known

    def is_evaluated(self, texts: Iterable[str], source: str) -> bool:
        """Whether one of the texts of a pair is in a set. With `refuse`, raises UserError where one is."""
        if not self.sets:
            return False
        labels = {label for text in texts for label in self._known.find(text)}
        if labels and self.mode == "refuse":
            names = ", ".join(sorted(self.sets[label].name for label in labels))
            raise UserError(f"{source} has a pair with a text of {names}; set guard to drop to leave such pairs out")
        return bool(labels)

    def _overlap(self, texts: TokenStore) -> tuple[np.ndarray, np.ndarray]:
        """Which text stands in which set, one entry for each such pair."""
        key = {
            "code_version": CODE_VERSION,
            "texts": texts.folder.parent.name,
            "sets": [one.fingerprint() for one in self.sets],
        }

        def write(folder: Path) -> dict[str, Any]:
            known = self._known
            every = tqdm(
                range(len(texts)), "comparing with evaluation sets", unit=" texts", delay=_QUIET_SECONDS, leave=False
            )
            rows = [(i, label) for i in every for label in known.find(texts.text(i))]
            np.save(folder / "rows.npy", np.array(rows, np.int64).reshape(-1, 2))
            return {"texts": len(texts), "found": len({i for i, _ in rows})}

        rows = np.load(cached("guards", key, write) / "rows.npy", allow_pickle=False)
        return rows[:, 0], rows[:, 1]

    @cached_property
    def _known(self) -> NearDuplicates:
        sets = tqdm(self.sets, "reading evaluation sets", unit=" sets", delay=_QUIET_SECONDS, leave=False)
        return NearDuplicates((text, label) for label, one in enumerate(sets) for text in one.texts())
