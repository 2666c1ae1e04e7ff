"""InfoNCE over in-batch positives and hard negatives; over two dropout views of the same texts it is NT-Xent."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.false_negatives import closer_than_positive, same_text

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 1.0


class InfoNCE(nn.Module):
    """The mean over queries q of -log(exp(cos(q, p) / t) / sum over candidates c of exp(cos(q, c) / t)).

    The candidates of a query are its own positive p, the positives of the other queries and the hard negatives of all
    queries (van den Oord et al. 2018, equation 4), except false negatives: a candidate that is the same text as p or
    as q, or the positive of another pair with the same query. So a hard negative that equals its positive is left
    out. With two dropout views of each text as query and positive this is SimCSE's loss (Gao et al. 2021, equation 4).

    Args:
        temperature: t, fixed, or where it starts if learned.
        learned_temperature: train log t; t is kept in [0.01, 1].
        symmetric: average with the loss of finding the query of each positive among the queries of the batch, where
            a query with the same text, or with an equal positive, is left out likewise.
        false_negative_margin: leave out candidates with cos(q, c) > cos(q, p) - margin also (NV-Retriever, de Souza
            Moreira et al. 2024; negative margins leave out only candidates closer than the positive by that much).
    """

    def __init__(
        self,
        temperature: float = 0.05,
        learned_temperature: bool = False,
        symmetric: bool = False,
        false_negative_margin: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise UserError(f"temperature is {temperature}; it must be above 0, for example 0.05")
        if learned_temperature and not MIN_TEMPERATURE <= temperature <= MAX_TEMPERATURE:
            raise UserError(
                f"a learned temperature starts at {temperature}; start within [{MIN_TEMPERATURE}, {MAX_TEMPERATURE}]"
            )
        if false_negative_margin is not None and not -2 < false_negative_margin < 2:
            raise UserError(
                f"false_negative_margin is {false_negative_margin}; it is a difference of cosines, above -2 and below 2"
            )
        self.fixed_temperature = temperature
        self.log_temperature = nn.Parameter(torch.tensor([temperature]).log()) if learned_temperature else None
        self.symmetric = symmetric
        self.false_negative_margin = false_negative_margin

    @property
    def temperature(self) -> Tensor | float:
        """t, a tensor of one element with a gradient if it is learned."""
        if self.log_temperature is None:
            return self.fixed_temperature
        # The parameter itself is clamped: clamping what is computed from it would end its gradient at the bounds.
        self.log_temperature.data.clamp_(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
        return self.log_temperature.exp()

    def forward(self, pairs: EmbeddedPairs) -> Tensor:
        """The loss of the batch, a scalar, computed in float32 or wider whatever the autocast.

        Raises:
            UserError: an embedding is NaN, infinite or zero, or no query has a negative.
        """
        pairs = pairs.normalized().identified()
        n = len(pairs.queries)
        with torch.autocast(pairs.queries.device.type, enabled=False):
            similarity = pairs.queries @ pairs.candidates.T  # [Q, Q + M]
            matching = same_text(pairs)  # [Q, Q + M]
            _require_negatives(self._false_negatives(similarity, matching))
            loss = self._cross_entropy(similarity, matching)
            if self.symmetric:
                loss = (loss + self._cross_entropy(similarity[:, :n].T, matching[:, :n].T)) / 2
        return loss

    def _cross_entropy(self, similarity: Tensor, matching: Tensor) -> Tensor:
        """The cross-entropy of the diagonal among all that are not false negatives."""
        logits = (similarity / self.temperature).masked_fill(self._false_negatives(similarity, matching), -torch.inf)
        return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))

    def _false_negatives(self, similarity: Tensor, matching: Tensor) -> Tensor:
        if self.false_negative_margin is None:
            return matching
        return matching | closer_than_positive(similarity, self.false_negative_margin)


def _require_negatives(false_negative: Tensor) -> None:
    pairs, candidates = false_negative.shape
    if candidates <= 1:
        raise UserError(
            "the batch holds one pair and no hard negative, so its loss is zero whatever the model does; raise "
            "batch_size, give hard negatives, or drop the last, smaller batch"
        )
    if false_negative.sum() == pairs * (candidates - 1):
        raise UserError(
            f"no negative is left for any of the {pairs} queries of the batch: all {candidates} candidates are false "
            "negatives, being the same text (or embedded exactly alike), or closer to the query than the margin "
            "allows; remove duplicates from the data, raise batch_size, or lower false_negative_margin"
        )
