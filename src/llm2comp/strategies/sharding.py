"""FSDP2 over an encoder that trains: its blocks one by one, and all else together."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard

from llm2comp.backbone.blocks import find_blocks
from llm2comp.backbone.empty import fill_lm, is_empty

if TYPE_CHECKING:
    from llm2comp.modules.encoder_training import EncoderTraining


def shard(module: "EncoderTraining", mesh: DeviceMesh, device: torch.device, cpu_offload: bool) -> None:
    """Shard every parameter by rows over the mesh, in place, and read the weights that are yet to be read.

    Blocks are made whole one at a time, in the module's compute type; gradients are summed in float32. What lies
    outside them (embeddings, head, memory tokens) is made whole by the module's forward(), until `reshard`.
    """
    offload = CPUOffloadPolicy(pin_memory=device.type == "cuda") if cpu_offload else OffloadPolicy()
    dtype = None if module.compute_dtype == torch.float32 else module.compute_dtype
    in_blocks = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    lms = module.encoder.backbone.language_models
    for lm in lms:
        for block in find_blocks(lm):
            fully_shard(block, mesh=mesh, mp_policy=in_blocks, offload_policy=offload)
    outside = MixedPrecisionPolicy(cast_forward_inputs=False)
    root = cast(FSDPModule, fully_shard(module, mesh=mesh, mp_policy=outside, offload_policy=offload))
    root.set_reshard_after_backward(False, recurse=False)
    device = torch.device("cpu") if cpu_offload else device
    module._apply(lambda tensor: torch.empty_like(tensor, device=device) if tensor.is_meta else tensor)
    for lm in lms:
        if is_empty(lm):
            fill_lm(lm)


def whole(tensor: Tensor, keep: bool) -> Tensor:
    """A sharded tensor put together on the CPU where `keep` is set; every process has to ask. Others as they are."""
    if not isinstance(tensor, DTensor):
        return tensor
    full = cast(Tensor, tensor.full_tensor())
    return full.cpu() if keep else full.new_empty(0)


def part(full: Tensor, like: Tensor) -> Tensor:
    """What a process holds of a whole tensor that is to be sharded as another is."""
    if not isinstance(like, DTensor) or full.shape != like.shape:
        return full
    assert like.placements == (Shard(0),)
    rows = -(-full.shape[0] // like.device_mesh.size())
    first = rows * like.device_mesh.get_local_rank()
    local = full[first : first + rows].to(like.to_local().device)
    return DTensor.from_local(
        local, like.device_mesh, like.placements, shape=full.shape, stride=full.stride(), run_check=False
    )
