"""Rows of different lengths as one array."""

from collections.abc import Sequence

import numpy as np


def pad(rows: Sequence[np.ndarray], padding_id: int, *, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows and their mask (1 for what stands in a row), both [B, longest] int64."""
    ids = np.full((len(rows), max(map(len, rows))), padding_id, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        place = slice(ids.shape[1] - len(row), None) if left else slice(len(row))
        ids[i, place], mask[i, place] = row, 1
    return ids, mask
