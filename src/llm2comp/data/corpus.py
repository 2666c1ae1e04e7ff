"""A tokenised corpus on disk."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from llm2comp.data.filters import FilterReport

TOKEN = np.dtype("<i4")


class Corpus:
    """The paragraphs of a source, memory-mapped; an example is the index of a paragraph.

    The folder holds `tokens.bin` and `texts.bin` (all paragraphs one after the other), `token_offsets.npy` and
    `text_spans.npy` (where each stands), `text_hashes.npy`, `document_hashes.npy` and `report.json`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.report = FilterReport.from_json(json.loads((folder / "report.json").read_text())["report"])
        self.text_hashes = self._load("text_hashes")  # [N] uint64
        self.document_hashes = self._load("document_hashes")  # [N] uint64
        self._token_offsets = self._load("token_offsets")  # [N + 1] int64
        self._text_spans = self._load("text_spans")  # [N, 2] int64

    def __reduce__(self) -> tuple[type["Corpus"], tuple[Path]]:
        # A worker process maps the files again; pickling the maps would copy the corpus.
        return Corpus, (self.folder,)

    def __len__(self) -> int:
        return len(self.text_hashes)

    @cached_property
    def lengths(self) -> np.ndarray:
        """[N] tokens of each paragraph, without special tokens."""
        return np.diff(self._token_offsets)

    def input_ids(self, example: int) -> np.ndarray:
        return self._tokens[self._token_offsets[example] : self._token_offsets[example + 1]]

    def text(self, example: int) -> str:
        start, end = self._text_spans[example]
        return self._texts[start:end].tobytes().decode()

    @cached_property
    def _tokens(self) -> np.ndarray:
        return np.memmap(self.folder / "tokens.bin", TOKEN, mode="r")

    @cached_property
    def _texts(self) -> np.ndarray:
        return np.memmap(self.folder / "texts.bin", np.uint8, mode="r")

    def _load(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
