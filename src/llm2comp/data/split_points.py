"""Where a paragraph is cut into a text and its continuation."""

import numpy as np

from llm2comp.data.hashing import uniform

MIN_SPLIT = 10  # tokens on either side of the cut [LLM2Comp, appendix]


def split_points(lengths: np.ndarray, text_hashes: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Tokens before the cut, uniform in [MIN_SPLIT, length - MIN_SPLIT].

    Drawn from seed, epoch and the paragraph's text alone: not from order, batch, worker or process.
    `lengths`: [N] at least 2 * MIN_SPLIT; `text_hashes`: [N] uint64. Returns [N].
    """
    choices = lengths - 2 * MIN_SPLIT + 1
    return MIN_SPLIT + (uniform(text_hashes, seed, epoch) * choices).astype(np.int64)
