"""Packed attention: the real tokens of a batch in one row, without its padding, each text attending to itself alone.

padded, 3 x 5         packed, 1 x 9            attention, bidirectional
. . a a a                                      a  x x x . . . . . .
. . . b b      ->     a a a b b c c c c        b  . . . x x . . . .
. c c c c             boundaries 0 3 5 9       c  . . . . . x x x x
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel

from llm2comp.errors import UserError

# The name by which transformers knows it, as `attention` and `attn_implementation` take it.
PACKED = "packed"


def packed_hidden_states(
    lm: PreTrainedModel, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> Tensor:
    """States [B, T, H] after the final norm, zero at padding, of input embeddings [B, T, H] read without it."""
    real = attention_mask.flatten().nonzero().flatten()  # [N]
    lengths = attention_mask.sum(-1, dtype=torch.int32)  # [B]
    boundaries = F.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))  # [B + 1]
    longest = int(lengths.max())
    output = lm.base_model(
        inputs_embeds=inputs_embeds.flatten(0, 1)[None, real],  # [1, N, H]
        position_ids=position_ids.flatten()[None, real],
        use_cache=False,
        # As transformers names them for flash attention, and hands them down to the attention of every layer.
        cu_seq_lens_q=boundaries,
        cu_seq_lens_k=boundaries,
        max_length_q=longest,
        max_length_k=longest,
    )
    states = output.last_hidden_state[0]  # [N, H]
    padded = states.new_zeros(attention_mask.numel(), states.shape[-1]).index_copy(0, real, states)
    return padded.view(*attention_mask.shape, -1)


@torch.compiler.disable
def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    *,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int = 0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention [1, N, heads, D] within each text, from packed queries [1, heads, N, D] and fewer or as many keys.

    The direction is that of the model's configuration; without boundaries there is one text. Raises UserError for an
    architecture that caps the scores, and for float32 on a GPU.
    """
    assert len(query) == 1
    config: Any = module.config
    if softcap is not None:
        raise UserError(f"{PACKED} attention has no softcap, which {config.model_type} needs: use sdpa or eager")
    is_causal = getattr(config, "is_causal", True)
    reach = -1 if sliding_window is None else sliding_window
    # transformers counts the token itself into a causal window, and not into one that reaches both ways.
    window = (max(reach - 1, -1), 0) if is_causal else (reach, reach)
    group = query.shape[1] // key.shape[1]
    # Rotary embeddings make float32 of queries and keys where autocast makes bfloat16 of values.
    q = query[0].transpose(0, 1).to(value.dtype)  # [N, heads, D]
    k, v = (each[0].repeat_interleave(group, dim=0).transpose(0, 1).to(value.dtype) for each in (key, value))
    bounds, longest = cu_seq_lens_q, max_length_q
    if bounds is None:
        bounds, longest = torch.tensor([0, len(q)], dtype=torch.int32, device=q.device), len(q)
    attend = kernel(value.device.type, value.dtype)
    output: Tensor = attend(q, k, v, bounds, bounds, longest, longest, scale=scaling, window_size=window)
    return output[None], None


def kernel(device: str, dtype: torch.dtype) -> Callable[..., Any]:
    """What attends within packed texts there; raises UserError for what no kernel takes."""
    if device != "cuda":
        return text_by_text
    if dtype not in (torch.float16, torch.bfloat16):
        raise UserError(f"{PACKED} attention on a GPU needs bfloat16, not {dtype}: set dtype bfloat16, or use sdpa")
    return varlen_attn


def text_by_text(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
) -> Tensor:
    """What `varlen_attn` computes [N, heads, D] on a GPU, one text after another."""
    lengths = cu_seq_q.diff().tolist()
    queries, keys, values = (each.transpose(0, 1).split(lengths, dim=1) for each in (query, key, value))
    outputs = [
        F.scaled_dot_product_attention(q, k, v, _window_mask(q.shape[1], window_size, q.device), scale=scale)
        for q, k, v in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(outputs, dim=1).transpose(0, 1)


def _window_mask(length: int, window_size: tuple[int, int], device: torch.device) -> Tensor | None:
    """Which keys [T, T] each query of a text sees: `window_size` tokens before it and after it, -1 for all."""
    if window_size == (-1, -1):
        return None
    left, right = (length if size < 0 else size for size in window_size)
    index = torch.arange(length, device=device)
    distance = index - index[:, None]  # [T, T]: how far the key stands after the query
    return (-left <= distance) & (distance <= right)


AttentionInterface.register(PACKED, packed_attention)
