"""Causal or bidirectional attention of a decoder-only model, switched by one attribute of its configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.errors import UserError

Direction = Literal["causal", "bidirectional"]


@contextmanager
def attention_direction(lm: PreTrainedModel, direction: Direction) -> Iterator[None]:
    """Attention of `lm` in the given direction within the context; what it was, after."""
    before = getattr(lm.config, "is_causal", True)
    lm.config.is_causal = direction == "causal"
    try:
        yield
    finally:
        lm.config.is_causal = before


@torch.no_grad()
def check_switch(lm: PreTrainedModel) -> None:
    """Raise UserError unless attention obeys the direction: causal, bidirectional, and causal again.

    The last token of a short sequence is changed, and the states before it are compared: they may change if and
    only if attention is bidirectional, with and without padding.
    """
    for padded in (False, True):
        causal_first = _leak(lm, "causal", padded)
        bidirectional = _leak(lm, "bidirectional", padded)
        causal_again = _leak(lm, "causal", padded)
        model_type = lm.config.model_type
        if max(causal_first, causal_again) > 1e-4 and causal_first > 0.01 * bidirectional:
            raise UserError(
                f"{model_type} ({type(lm).__name__}) is not a decoder-only language model: its attention is not causal. "
                "Name a decoder-only model such as Llama, Mistral, Qwen or SmolLM"
            )
        if bidirectional <= 100 * max(causal_first, causal_again) or bidirectional < 1e-6:
            raise UserError(
                f"{model_type} ({type(lm).__name__}) cannot be made bidirectional: its attention stays causal with "
                f"{lm.config._attn_implementation} attention. Architectures known to work: Llama, Mistral, Qwen2, "
                "Qwen3, Gemma, Phi-3, OLMo2, SmolLM3, GPT-NeoX, Granite, Cohere"
            )


def _leak(lm: PreTrainedModel, direction: Direction, padded: bool) -> float:
    """How far the last token reaches back: the largest relative change of an earlier state when it is changed."""
    assert direction in get_args(Direction)
    vocabulary = lm.get_input_embeddings().num_embeddings
    ids = torch.arange(1, 6, device=lm.device).remainder(vocabulary)[None]  # [1, 5]
    changed = ids.clone()
    changed[0, -1] = vocabulary // 2
    mask = torch.ones_like(ids)
    mask[0, 0] = 0 if padded else 1
    with attention_direction(lm, direction):
        before, after = (_states(lm, each, mask if padded else None) for each in (ids, changed))
    start = 1 if padded else 0
    before, after = before[0, start:-1], after[0, start:-1]
    return ((after - before).abs().max() / before.abs().max()).item()


def _states(lm: PreTrainedModel, ids: Tensor, mask: Tensor | None) -> Tensor:
    return lm.base_model(ids, attention_mask=mask, use_cache=False).last_hidden_state.float()
