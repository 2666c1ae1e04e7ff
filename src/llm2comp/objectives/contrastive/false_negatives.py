"""Which candidates of a query are no negatives of it. Row i of a mask is query i, whose positive is candidate i."""

import torch
from torch import Tensor

from llm2comp.objectives.contrastive.embedded import EmbeddedPairs


def same_text(pairs: EmbeddedPairs) -> Tensor:
    """Where a candidate, not the positive itself, matches the query by its text: bool `[Q, Q + M]`.

    It matches if it is the text of the query's positive or of the query, or the positive of an equal query.
    """
    pairs = pairs.identified()
    queries, candidates = pairs.query_ids, pairs.candidate_ids
    assert queries is not None
    assert candidates is not None
    n = len(queries)
    mask = candidates[:n, None] == candidates  # [Q, Q + M]
    mask |= queries[:, None] == candidates
    mask[:, :n] |= queries[:, None] == queries
    return mask.fill_diagonal_(False)


@torch.no_grad()
def closer_than_positive(similarity: Tensor, margin: float) -> Tensor:
    """Where s(q, c) > s(q, p) - margin for a candidate c other than p, the diagonal: bool `[Q, C]` as `similarity`."""
    return (similarity > similarity.diagonal()[:, None] - margin).fill_diagonal_(False)
