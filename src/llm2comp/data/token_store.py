"""Tokenised texts on disk."""

from functools import cached_property
from pathlib import Path

import numpy as np

TOKEN = np.dtype("<i4")


class TokenStore:
    """Texts and their tokens, memory-mapped.

    The folder holds `tokens.bin` and `texts.bin` (all texts one after the other), `token_offsets.npy` and
    `text_spans.npy` (where each stands), and `text_hashes.npy`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text_hashes = self.load("text_hashes")  # [N] uint64
        self._token_offsets = self.load("token_offsets")  # [N + 1] int64
        self._text_spans = self.load("text_spans")  # [N, 2] int64

    def __reduce__(self) -> tuple[type["TokenStore"], tuple[Path]]:
        # A worker process maps the files again; pickling the maps would copy the texts.
        return type(self), (self.folder,)

    def __len__(self) -> int:
        return len(self.text_hashes)

    @cached_property
    def lengths(self) -> np.ndarray:
        """[N] tokens of each text, without special tokens."""
        return np.diff(self._token_offsets)

    def input_ids(self, index: int) -> np.ndarray:
        return self._tokens[self._token_offsets[index] : self._token_offsets[index + 1]]

    def text(self, index: int) -> str:
        start, end = self._text_spans[index]
        return self._texts[start:end].tobytes().decode()

    def load(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    @cached_property
    def _tokens(self) -> np.ndarray:
        return np.memmap(self.folder / "tokens.bin", TOKEN, mode="r")

    @cached_property
    def _texts(self) -> np.ndarray:
        return np.memmap(self.folder / "texts.bin", np.uint8, mode="r")
