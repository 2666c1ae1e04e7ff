"""What a contrastive loss reads: the embeddings of a batch of pairs, and which of its texts are the same."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from llm2comp.errors import UserError


@dataclass(frozen=True)
class EmbeddedPairs:
    """The embeddings of a batch of Q pairs and of the M hard negatives of all its queries.

    A query may have any number of hard negatives; the negatives of all queries stand one after another, in any order,
    since every one of them is a candidate of every query. Two dropout views of the same texts are pairs too.

    The ids are integers that are equal for equal texts and different for others, on all processes (a hash of the
    text). They are given for all three roles or for none; without ids, texts are the same where their embeddings are
    exactly equal.
    """

    queries: Tensor  # [Q, D]
    positives: Tensor  # [Q, D]
    negatives: Tensor | None = None  # [M, D]
    query_ids: Tensor | None = None  # [Q]
    positive_ids: Tensor | None = None  # [Q]
    negative_ids: Tensor | None = None  # [M]

    def __post_init__(self) -> None:
        assert self.queries.shape == self.positives.shape, "queries and positives are [Q, D] both"
        assert self.negatives is None or self.negatives.shape[1:] == self.queries.shape[1:], "negatives are [M, D]"
        roles = (
            (self.queries, self.query_ids),
            (self.positives, self.positive_ids),
            (self.negatives, self.negative_ids),
        )
        given = {ids is not None for embeddings, ids in roles if embeddings is not None}
        assert len(given) == 1, "ids are given for all texts or for none"
        assert all(ids is None or (e is not None and ids.shape == e.shape[:1]) for e, ids in roles), "one id a text"

    @property
    def candidates(self) -> Tensor:
        """The positives, then the negatives: `[Q + M, D]`."""
        return self.positives if self.negatives is None else torch.cat([self.positives, self.negatives])

    @property
    def candidate_ids(self) -> Tensor | None:
        """The ids of the candidates: `[Q + M]`."""
        if self.positive_ids is None or self.negative_ids is None:
            return self.positive_ids
        return torch.cat([self.positive_ids, self.negative_ids])

    def leading(self, dim: int) -> Self:
        """The same texts, embedded by their first `dim` dimensions."""
        negatives = None if self.negatives is None else self.negatives[:, :dim]
        return replace(self, queries=self.queries[:, :dim], positives=self.positives[:, :dim], negatives=negatives)

    def normalized(self) -> Self:
        """The same texts with embeddings of length one, in float32 or wider.

        Raises:
            UserError: an embedding has no direction, being NaN, infinite or zero.
        """
        return replace(
            self,
            queries=_normalize(self.queries, "queries"),
            positives=_normalize(self.positives, "positives"),
            negatives=None if self.negatives is None else _normalize(self.negatives, "negatives"),
        )

    def identified(self) -> Self:
        """The same pairs with ids: those given, or one for each different embedding."""
        if self.query_ids is not None:
            return self
        n = len(self.queries)
        with torch.no_grad():
            ids = torch.unique(torch.cat([self.queries, self.candidates]), dim=0, return_inverse=True)[1]
        return replace(
            self,
            query_ids=ids[:n],
            positive_ids=ids[n : 2 * n],
            negative_ids=None if self.negatives is None else ids[2 * n :],
        )


def _normalize(embeddings: Tensor, role: str) -> Tensor:
    embeddings = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    norms = embeddings.norm(dim=-1, keepdim=True)  # [rows, 1]
    usable = (norms.isfinite() & (norms > 0)).squeeze(-1)
    if not usable.all():
        rows = (~usable).nonzero().flatten().tolist()
        shown = ", ".join(map(str, rows[:10])) + (", …" if len(rows) > 10 else "")
        raise UserError(
            f"{len(rows)} of {len(embeddings)} embeddings of the batch's {role} are NaN, infinite or zero: rows "
            f"{shown}. Look for empty texts there; if training has diverged, lower the learning rate, clip gradients, "
            "or use bf16 in place of fp16."
        )
    return embeddings / norms
