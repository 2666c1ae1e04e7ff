"""One contrastive batch out of the batches of all processes, with gradients."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from llm2comp.objectives.contrastive.embedded import EmbeddedPairs


def gather(pairs: EmbeddedPairs) -> EmbeddedPairs:
    """The pairs of all processes in the order of their ranks, the same on each; the pairs themselves in one process.

    Processes may hold different numbers of pairs and of negatives (none too); ids are given on all or on none. Every
    process then computes the loss of the whole batch, so the value logged is that of the whole batch and an error is
    raised on all of them alike, none waiting for another. The mean over processes of the parameters' gradients, as
    DDP takes it, is the gradient of one process with the whole batch.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return pairs
    negatives = pairs.queries[:0] if pairs.negatives is None else pairs.negatives
    sizes = _gather_sizes(len(pairs.queries), len(negatives), pairs.queries.device)
    embeddings = _GatherRows.apply(torch.cat([pairs.queries, pairs.positives, negatives]), [sum(s) for s in sizes])
    queries, positives, negatives = _by_role(embeddings, sizes)
    if pairs.query_ids is None or pairs.positive_ids is None:
        return EmbeddedPairs(queries, positives, negatives)
    negative_ids = pairs.query_ids[:0] if pairs.negative_ids is None else pairs.negative_ids
    ids = _GatherRows.apply(torch.cat([pairs.query_ids, pairs.positive_ids, negative_ids]), [sum(s) for s in sizes])
    return EmbeddedPairs(queries, positives, negatives, *_by_role(ids, sizes))


def _gather_sizes(pairs: int, negatives: int, device: torch.device) -> list[list[int]]:
    """The numbers of queries, positives and negatives of each rank."""
    own = torch.tensor([pairs, pairs, negatives], device=device)
    sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, own)
    return [size.tolist() for size in sizes]


def _by_role(rows: Tensor, sizes: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """From the rows by rank and role, those of each role by rank."""
    parts = rows.split([size for rank in sizes for size in rank])
    return torch.cat(parts[0::3]), torch.cat(parts[1::3]), torch.cat(parts[2::3])


class _GatherRows(torch.autograd.Function):
    """The rows of all ranks, one rank after another; collectives want equal shapes, so rows are padded on the way."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: Sequence[int]) -> Tensor:
        rank = dist.get_rank()
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        gathered = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(gathered, padded)
        return torch.cat([part[:size] for part, size in zip(gathered, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        # Each rank has the gradient of the one whole loss already, so nothing is sent: the gradient of its own rows
        # is read off, times the number of ranks, which their mean divides by.
        return grad[ctx.own] * dist.get_world_size(), None
