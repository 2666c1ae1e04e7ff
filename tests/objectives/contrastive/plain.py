"""The contrastive losses as loops over their equations, in Python floats of double precision."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from llm2comp.objectives.contrastive.embedded import EmbeddedPairs


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = a.tolist(), b.tolist()
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def info_nce(
    queries: Sequence[Tensor],
    positives: Sequence[Tensor],
    negatives: Sequence[Tensor] = (),
    temperature: float = 0.05,
    is_false: Callable[[int, int], bool] = lambda i, c: False,
    margin: float | None = None,
) -> float:
    """`is_false(i, c)`: candidate c, counted over positives and then negatives, is no negative of query i."""
    candidates = [*positives, *negatives]
    losses = []
    for i, query in enumerate(queries):
        own = cosine(query, positives[i])
        kept = [own]
        for c, candidate in enumerate(candidates):
            similarity = cosine(query, candidate)
            if c == i or is_false(i, c) or (margin is not None and similarity > own - margin):
                continue
            kept.append(similarity)
        total = sum(math.exp(s / temperature) for s in kept)
        losses.append(-math.log(math.exp(own / temperature) / total))
    return sum(losses) / len(losses)


def random_pairs(pairs: int = 5, negatives: int = 7, dim: int = 6, seed: int = 0, ids: bool = False) -> EmbeddedPairs:
    """Pairs in double precision; with ids, all texts differ."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(2 * pairs + negatives, dim, generator=generator, dtype=torch.float64)
    numbers = torch.arange(len(rows)).split([pairs, pairs, negatives]) if ids else (None, None, None)
    queries, positives, rest = rows.split([pairs, pairs, negatives])
    # A positive lies near its query, as after some training: losses are then neither zero nor huge.
    positives = positives + queries
    if not negatives:
        return EmbeddedPairs(queries, positives, None, *numbers[:2])
    return EmbeddedPairs(queries, positives, rest, *numbers)
