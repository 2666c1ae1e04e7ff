"""As many passes of the encoder on every process."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor


def evened(groups: Sequence[Tensor]) -> list[Tensor]:
    """The groups of rows, the last one repeated until every process has as many; the groups themselves in one process.

    Processes that share the weights make them whole together, for each pass: one that made fewer passes than the
    others would leave them waiting. What repeated groups give is to be cut off, so that it has no gradient.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return list(groups)
    most = torch.tensor(len(groups), device=groups[0].device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return [*groups, *[groups[-1]] * (int(most) - len(groups))]
