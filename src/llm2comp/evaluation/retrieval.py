"""Retrieval by cosine similarity, and a retrieval task made of plain text, without labels."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

# Cosines of float32 embeddings that differ by less are the same but for rounding.
TIE = 1e-6


def mean_reciprocal_rank(queries: Tensor, documents: Tensor, relevant: Tensor, at: int = 10) -> float:
    """MRR@`at`: the mean over queries of 1 / rank of the relevant document, or of 0 where it is ranked below `at`.

    `queries` [Q, D] and `documents` [N, D] are compared by cosine; `relevant` [Q] is the index of each query's one
    relevant document. A tie counts against the query: the relevant document is ranked after all that are as close,
    so an encoder that maps every text to one point, or to NaN, gets 0 where there are more than `at` documents.

    `torchmetrics.retrieval.RetrievalMRR` does not serve: it takes a negative cosine for a miss, and breaks ties by
    the order of the documents.
    """
    assert len(queries) == len(relevant) > 0
    directions = normalize(documents.detach().cpu().double(), dim=-1)  # [N, D]
    total = 0.0
    # By chunks, so that memory holds no [Q, N] matrix of a large collection.
    for some, index in zip(queries.detach().cpu().double().split(256), relevant.cpu().split(256), strict=True):
        cosines = normalize(some, dim=-1) @ directions.T  # [q, N]
        own = cosines.gather(1, index[:, None])  # [q, 1]
        # Not `>=`: a comparison with NaN is false, and would put the relevant document first.
        ranks = (~(cosines < own - TIE)).sum(dim=1).double()  # [q]
        total += torch.where(ranks <= at, 1 / ranks, 0).sum().item()
    return total / len(queries)


def halves(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Each text's first and second half, cut at the space nearest to its middle (in the middle where it has none)."""
    pairs = [_cut(text.strip()) for text in texts]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _cut(text: str) -> tuple[str, str]:
    spaces = [space.span() for space in re.finditer(r"\s+", text)]
    middle = len(text) // 2
    start, end = min(spaces, key=lambda span: abs(sum(span) - len(text)), default=(middle, middle))
    return text[:start], text[end:]
