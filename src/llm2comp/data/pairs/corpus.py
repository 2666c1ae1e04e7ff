"""Tokenised pairs on disk."""

import json
from pathlib import Path

import numpy as np

from llm2comp.data.hashing import uniform
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.token_store import TokenStore


class PairCorpus:
    """The pairs of a source, memory-mapped; an example is the index of a pair.

    The folder `texts` holds every text once for each prompt it is read after, with `prompt_tokens.npy`. Beside it
    stand `queries.npy` (a text for each pair), `positives.npy` and `negatives.npy` with their `_offsets.npy` (texts of
    all pairs one after the other, and where each pair's begin), `text_hashes.npy`, `query_hashes.npy`,
    `document_hashes.npy` and `report.json`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = PairReport(**json.loads((folder / "report.json").read_text())["report"])
        self.texts = TokenStore(folder / "texts")
        self.prompt_tokens = self.texts.load("prompt_tokens")  # [T] int32: BOS and prompt, 0 where there is no prompt
        self.text_hashes = self._load("text_hashes")  # [N] uint64: of all texts of a pair
        self.query_hashes = self._load("query_hashes")  # [N] uint64
        self.document_hashes = self._load("document_hashes")  # [N] uint64: pairs that are held out together
        self.queries = self._load("queries")  # [N] int64
        self._positives, self._positive_offsets = self._load("positives"), self._load("positive_offsets")
        self._negatives, self._negative_offsets = self._load("negatives"), self._load("negative_offsets")

    def __reduce__(self) -> tuple[type["PairCorpus"], tuple[Path]]:
        # A worker process maps the files again; pickling the maps would copy the corpus.
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self.queries)

    def positives(self, example: int) -> np.ndarray:
        return self._positives[self._positive_offsets[example] : self._positive_offsets[example + 1]]

    def negatives(self, example: int) -> np.ndarray:
        return self._negatives[self._negative_offsets[example] : self._negative_offsets[example + 1]]

    def positive(self, example: int, seed: int, epoch: int) -> int:
        """One of the positives, drawn from seed, epoch and the pair alone."""
        return int(self._draw(self.positives(example), 1, example, seed, epoch)[0])

    def some_negatives(self, example: int, count: int, seed: int, epoch: int) -> np.ndarray:
        """At most `count` of the hard negatives, drawn from seed, epoch and the pair alone."""
        return self._draw(self.negatives(example), count, example, seed, epoch)

    def any_text(self, mask: np.ndarray) -> np.ndarray:
        """[N] bool: the pairs of which any text is in the mask [T] bool."""
        found = mask[self.queries]
        for texts, offsets in (
            (self._positives, self._positive_offsets),
            (self._negatives, self._negative_offsets),
        ):
            counts = np.concatenate([[0], np.cumsum(mask[texts])])
            found = found | (counts[offsets[1:]] > counts[offsets[:-1]])
        return found

    def _draw(self, texts: np.ndarray, count: int, example: int, seed: int, epoch: int) -> np.ndarray:
        if len(texts) <= count:
            return texts
        # The pair's hash as a salt: two pairs that share texts draw apart.
        draws = uniform(self.texts.text_hashes[texts] ^ self.text_hashes[example], seed, epoch)
        return texts[np.argsort(draws, kind="stable")[:count]]

    def _load(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
