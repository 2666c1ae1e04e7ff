"""Means over the batches of all processes."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from llm2comp.objectives.base import Measurement


def process_mean(means: Sequence[Measurement]) -> Tensor:
    """The sum of means of this process's batch, scaled so that its mean over processes is of all their batches.

    A mean over the n tokens of this process is multiplied by n over the mean number of tokens of a process. Processes
    hold different numbers of tokens; the mean over processes, which strategies take of gradients, is then what one
    process would have with all the tokens. Every process has to ask. In one process nothing is scaled.
    """
    values = torch.stack([mean.value for mean in means])
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return values.sum()
    own = torch.stack([torch.as_tensor(m.weight, dtype=values.dtype, device=values.device) for m in means])
    everyone = own.clone()
    dist.all_reduce(everyone)
    return (values * own * dist.get_world_size() / everyone.clamp(min=1)).sum()
