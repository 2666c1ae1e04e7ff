"""What PyTorch computes otherwise on a GPU, as far as it shows in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from llm2comp.objectives.contrastive.contrastive import GROUP_TOKENS
from llm2comp.objectives.token_losses import CHUNK_ELEMENTS
from llm2comp.planning.shapes_only import replaced

GPU_UNIT = 512  # bytes that PyTorch's allocator rounds up to
# Rows of an additive mask are padded to a multiple of this, for the kernel to read them.
_MASK_ALIGNMENT = 16


@contextmanager
def as_on_gpu() -> Iterator[None]:
    """Lets code on CPU tensors make the tensors that it would make on an NVIDIA GPU, where the two differ.

    Scaled dot-product attention runs as the memory-efficient kernel, which takes masks; dropout keeps its mask as
    bytes; under autocast a layer norm is computed and kept in float32; chunks and groups are of a GPU's size.
    """
    sizes = [(by_device, by_device["cpu"]) for by_device in (CHUNK_ELEMENTS, GROUP_TOKENS)]
    try:
        for by_device, _ in sizes:
            by_device["cpu"] = by_device["cuda"]
        with replaced({"scaled_dot_product_attention": _attention, "dropout": _dropout, "layer_norm": _layer_norm}):
            yield
    finally:
        for by_device, size in sizes:
            by_device["cpu"] = size


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        query, key, value = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (query, key, value))
    if enable_gqa:
        groups = query.shape[1] // key.shape[1]
        key, value = (tensor.repeat_interleave(groups, dim=1) for tensor in (key, value))
    bias = None
    if attn_mask is not None:
        bias = torch.zeros_like(attn_mask, dtype=query.dtype)  # [B, 1, T, S]
        bias = F.pad(bias, (0, -bias.shape[-1] % _MASK_ALIGNMENT))[..., : bias.shape[-1]]
        bias = bias.expand(*query.shape[:-1], key.shape[2])  # [B, heads, T, S]
    with_logsumexp = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
    kernel = torch.ops.aten._scaled_dot_product_efficient_attention
    return kernel(query, key, value, bias, with_logsumexp, dropout_p, is_causal, scale=scale)[0]


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return torch.native_dropout(input, p, True)[0] if training and p else input


def _layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    if torch.is_autocast_enabled("cpu"):
        weight, bias = (None if tensor is None else tensor.float() for tensor in (weight, bias))
        input = input.float()
    return torch.layer_norm(input, normalized_shape, weight, bias, eps)
