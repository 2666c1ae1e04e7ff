"""Training embeddings whose leading dimensions are embeddings themselves."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs


class Matryoshka(nn.Module):
    """The weighted mean of a loss over the first d dimensions, d in `dims` (Kusupati et al. 2022, equation 1).

    Args:
        loss: of `EmbeddedPairs`, normalising what it reads.
        dims: the sizes to train, the full width too if it is meant to be trained.
        weights: one a size; all equal by default.
    """

    def __init__(self, loss: nn.Module, dims: Sequence[int], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(dims) if weights is None else list(weights)
        if not dims or min(dims) < 1 or len(set(dims)) < len(dims):
            raise UserError(f"Matryoshka dims are {list(dims)}; give different positive sizes, such as [64, 256, 576]")
        if len(weights) != len(dims) or not all(weight > 0 for weight in weights):
            raise UserError(f"Matryoshka weights are {weights}; give one above zero for each of {len(dims)} dims")
        self.loss = loss
        self.dims = list(dims)
        self.weights = [weight / sum(weights) for weight in weights]

    def forward(self, pairs: EmbeddedPairs) -> Tensor:
        """The loss of the batch, a scalar.

        Raises:
            UserError: a size is above the width of the embeddings; and what the loss raises.
        """
        width = pairs.queries.shape[1]
        if max(self.dims) > width:
            raise UserError(f"Matryoshka dims are {self.dims}, but embeddings have {width} dimensions; remove the rest")
        # Which texts are the same is read off whole embeddings: leading dimensions alone may coincide.
        pairs = pairs.identified()
        losses = [w * self.loss(pairs.leading(dim)) for w, dim in zip(self.weights, self.dims, strict=True)]
        return torch.stack(losses).sum()
