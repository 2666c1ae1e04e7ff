"""A regulariser that spreads embeddings over the sphere."""

import torch
from torch import Tensor

from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.false_negatives import same_text


def spread_out(pairs: EmbeddedPairs) -> Tensor:
    """Global orthogonal regularisation: M1^2 + max(0, M2 - 1/D) (Zhang et al. 2017, equation 6), a scalar.

    M1 and M2 are the mean and the mean square of cos(q, p) over queries and positives that do not match; points
    spread evenly over the sphere have M1 = 0 and M2 = 1/D. Zero if everything in the batch matches.

    Raises:
        UserError: an embedding is NaN, infinite or zero.
    """
    pairs = pairs.normalized().identified()
    n, width = pairs.queries.shape
    with torch.autocast(pairs.queries.device.type, enabled=False):
        cosine = pairs.queries @ pairs.positives.T  # [Q, Q]
    matching = same_text(pairs)[:, :n].fill_diagonal_(True)
    count = (~matching).sum().clamp(min=1)
    cosine = cosine.masked_fill(matching, 0.0)
    mean, mean_square = cosine.sum() / count, cosine.square().sum() / count
    return mean.square() + (mean_square - 1 / width).clamp(min=0)
