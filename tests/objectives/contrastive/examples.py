"""A batch of random texts of different lengths."""

import torch

from llm2comp.data.batches import ContrastiveBatch


def contrastive_batch(pairs: int, negatives: int) -> ContrastiveBatch:
    """Rows of 3 to 12 tokens, left-padded; all texts are different."""
    generator = torch.Generator().manual_seed(1)
    rows = 2 * pairs + negatives
    lengths = torch.randint(3, 13, (rows,), generator=generator)
    ids = torch.randint(3, 300, (rows, 12), generator=generator)
    mask = (torch.arange(12)[None] >= 12 - lengths[:, None]).long()
    return ContrastiveBatch(ids * mask, mask, mask, torch.arange(rows), pairs)
