"""Several sets of pairs as one."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.pairs.pair_set import PairSet


class PairMixture:
    """The pairs of all data sets, numbered through: an example is the index of a pair among all."""

    def __init__(self, sets: Sequence[PairSet], corpora: Sequence[PairCorpus]) -> None:
        self.sets, self.corpora = list(sets), list(corpora)
        self._starts = np.cumsum([0, *map(len, corpora)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def text_hashes(self) -> np.ndarray:
        """[N] uint64: of all texts of a pair."""
        return np.concatenate([corpus.text_hashes for corpus in self.corpora])

    @cached_property
    def query_hashes(self) -> np.ndarray:
        """[N] uint64."""
        return np.concatenate([corpus.query_hashes for corpus in self.corpora])

    def examples(self, number: int, mask: np.ndarray) -> np.ndarray:
        """The examples of a data set that are in a mask over its own pairs."""
        return np.flatnonzero(mask) + self._starts[number]

    def split(self, examples: np.ndarray) -> list[np.ndarray]:
        """Ascending examples by data set."""
        return np.split(examples, np.searchsorted(examples, self._starts[1:-1]))

    def locate(self, examples: np.ndarray) -> tuple[int, np.ndarray]:
        """The data set that a batch's examples come from, and their indices in it."""
        number = int(np.searchsorted(self._starts, examples[0], side="right")) - 1
        return number, examples - self._starts[number]

    def text(self, example: int) -> str:
        """What answers the query: the pair's first positive."""
        number, (index,) = self.locate(np.array([example]))
        corpus = self.corpora[number]
        return corpus.texts.text(corpus.positives(index)[0])
