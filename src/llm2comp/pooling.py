"""From the last hidden states of a text and its memory tokens to one vector."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from llm2comp.errors import UserError, unknown

# Cosine above which two memory states belong to one cluster.
CLUSTER_SIMILARITY = 0.9


def mean(hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """The mean over all tokens read."""
    weights = attention_mask[..., None].float()  # [B, T, 1]
    return (hidden_states * weights).sum(1) / weights.sum(1)


def weighted_mean(hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """The mean over all tokens read, the i-th with weight i (SGPT, arXiv 2202.08904)."""
    weights = (attention_mask * attention_mask.cumsum(1))[..., None].float()  # [B, T, 1]
    return (hidden_states * weights).sum(1) / weights.sum(1)


def last(hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """The state of the last token read; rows are left-padded, so it stands at the right edge."""
    return hidden_states[:, -1]


def memory_mean(hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """The mean of the k memory states (arXiv 2511.17129, section 3)."""
    return hidden_states[:, -k:].mean(1)


def memory_cluster(hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """The mean of cluster means: memory states are linked when their cosine is at least CLUSTER_SIMILARITY."""
    memory = hidden_states[:, -k:]  # [B, k, D]
    unit = F.normalize(memory.detach().float(), dim=-1)
    linked = (unit @ unit.transpose(1, 2) >= CLUSTER_SIMILARITY).float()  # [B, k, k]
    linked = torch.maximum(linked, torch.eye(k, device=linked.device))
    for _ in range(k.bit_length()):  # links of links, until every cluster is complete
        linked = (linked @ linked).clamp(max=1)
    weights = 1 / linked.sum(-1)  # [B, k]: 1 / size of the state's cluster, so they sum to the number of clusters
    return (memory * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)


POOLINGS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    function.__name__: function for function in (mean, weighted_mean, last, memory_mean, memory_cluster)
}


def pool(name: str, hidden_states: Tensor, attention_mask: Tensor, k: int) -> Tensor:
    """Embeddings [B, H] in float32 from hidden states [B, T, H] and mask [B, T]; the last k tokens are memory."""
    return POOLINGS[name](hidden_states.float(), attention_mask, k)


def check_pooling(name: str, k: int) -> None:
    """Raise UserError for an unknown pooling, or one over memory tokens where there are none."""
    if name not in POOLINGS:
        raise unknown("pooling", name, POOLINGS)
    if name.startswith("memory") and k == 0:
        raise UserError(f"pooling {name!r} needs memory tokens, and this encoder has none; use 'mean' or 'last'")
