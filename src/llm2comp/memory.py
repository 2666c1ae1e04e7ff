"""Memory tokens: k learned inputs read after a text, whose last hidden states stand for it."""

from typing import Literal

import torch
from torch import Tensor, nn

MemoryPositions = Literal["after", "spread"]


class MemoryTokens(nn.Module):
    """k rows [k, H] of their own, so that nothing of the vocabulary trains (arXiv 2511.17129, section 3).

    `positions`: position ids that follow the text ("after"), or lie uniformly over it ("spread").
    `scale`: where a learned factor on the memory states, as the decoder reads them, starts; None for none.
    """

    def __init__(self, rows: Tensor, positions: MemoryPositions = "after", scale: float | None = None) -> None:
        super().__init__()
        self.rows = nn.Parameter(rows.detach().clone().float())
        self.positions: MemoryPositions = positions
        self.scale = None if scale is None else nn.Parameter(torch.tensor([float(scale)]))  # sharding needs a dimension

    @classmethod
    def like(cls, embeddings: Tensor, k: int, positions: MemoryPositions, scale: float | None) -> "MemoryTokens":
        """k random rows with the mean and spread of the embedding matrix [V, H]."""
        embeddings = embeddings.float()
        rows = embeddings.mean(0) + embeddings.std(0) * torch.randn(k, embeddings.shape[1], device=embeddings.device)
        return cls(rows, positions, scale)

    def __len__(self) -> int:
        return self.rows.shape[0]

    def position_ids(self, attention_mask: Tensor) -> Tensor:
        """Position ids [B, T + k] of left-padded texts with mask [B, T] and the memory tokens after them."""
        text = text_positions(attention_mask)  # [B, T]
        length = attention_mask.sum(-1, keepdim=True)  # [B, 1]
        index = torch.arange(len(self), device=attention_mask.device)  # [k]
        memory = length + index if self.positions == "after" else (2 * index + 1) * length // (2 * len(self))
        return torch.cat([text, memory], dim=1)

    def for_decoder(self, states: Tensor) -> Tensor:
        """Memory states [B, k, H] as the frozen decoder reads them."""
        return states if self.scale is None else states * self.scale


def text_positions(attention_mask: Tensor) -> Tensor:
    """Position ids [B, T] that count the real tokens of each row from 0."""
    return (attention_mask.cumsum(-1) - 1).clamp(min=0)
