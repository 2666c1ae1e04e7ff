"""Causal or bidirectional attention of a decoder-only model, switched by one attribute of its configuration."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.backbone.forward import input_embeddings, is_exact, last_hidden_states
from llm2comp.backbone.packing import PACKED
from llm2comp.errors import UserError
from llm2comp.memory import text_positions

Direction = Literal["causal", "bidirectional"]

# Kinds of layers that obey the direction; others, such as linear attention and convolutions, stay causal.
_SWITCHABLE_LAYERS = {"full_attention", "sliding_attention"}


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
    only if attention is bidirectional, with and without padding. Padding itself must change nothing. This holds for
    the attention that `lm` was loaded with, and for SDPA, with which others will open what it becomes. Packed texts
    must be read as they are with padding.
    """
    loaded_with = lm.config._attn_implementation
    try:
        if loaded_with == PACKED:
            _check_packing(lm)
        for attention in [loaded_with, *(["sdpa"] if lm._supports_sdpa and loaded_with != "sdpa" else [])]:
            lm.set_attn_implementation(attention)
            _check_switch(lm)
    finally:
        lm.set_attn_implementation(loaded_with)


def _check_switch(lm: PreTrainedModel) -> None:
    name = f"{lm.config.model_type} ({type(lm).__name__})"
    if rigid := set(getattr(lm.config, "layer_types", None) or ()) - _SWITCHABLE_LAYERS:
        raise UserError(f"{name} cannot be made bidirectional: its {' and '.join(sorted(rigid))} layers stay causal")
    text, changed = _probes(lm)
    unpadded: list[Tensor] = []
    for padding in (0, 3):  # the second time round, causal comes after bidirectional
        causal, causal_changed = (_states(lm, ids, "causal", padding) for ids in (text, changed))
        both, both_changed = (_states(lm, ids, "bidirectional", padding) for ids in (text, changed))
        reach = _change(both, both_changed)
        if _change(causal, causal_changed) > max(1e-6, 0.01 * reach):
            raise UserError(
                f"{name} is not a decoder-only language model: its attention is not causal. "
                "Name a decoder-only model such as Llama, Mistral, Qwen or SmolLM"
            )
        if reach < 1e-6:
            attention = lm.config._attn_implementation
            raise UserError(
                f"{name} cannot be made bidirectional: it stays causal with {attention} attention. "
                "Architectures known to work: Llama, Mistral, Qwen2, Qwen3, Gemma, Phi-3, OLMo2, SmolLM3, GPT-NeoX, "
                "Granite, Cohere"
            )
        unpadded = unpadded or [causal, both]
        _check_padding(lm, name, text, "causal", padding, unpadded[0], causal)
        _check_padding(lm, name, text, "bidirectional", padding, unpadded[1], both)


def _check_padding(
    lm: PreTrainedModel, name: str, text: Tensor, direction: Direction, padding: int, before: Tensor, after: Tensor
) -> None:
    """Raise UserError if the states [1, T, H] of the text are others after padding."""
    # Rounding in bfloat16 is far larger than in float32, and far smaller than what padding that is read does.
    change = (before - after).norm()
    if change <= (1e-3 if is_exact(lm) else 0.1) * before.norm():
        return
    read = _states(lm, text, direction, padding, masked=False)
    if not is_exact(lm) and change < 0.5 * (before - read).norm():
        raise UserError(
            f"{name} cannot be used in bfloat16 on this machine: its rounding alone changes what is read of a text by "
            f"{change / before.norm():.0%} when padding stands before it. Use float32: dtype float32"
        )
    raise UserError(
        f"{name} is not supported: it reads a text differently when padding stands before it, so its "
        "embeddings would depend on the batch. Llama, Mistral, Qwen, SmolLM and the like do not"
    )


def _check_packing(lm: PreTrainedModel) -> None:
    """Raise UserError if two texts [2, 6], one of them padded, have other states packed than in a batch."""
    refusal = UserError(
        f"{lm.config.model_type} ({type(lm).__name__}) cannot be read with {PACKED} attention: its states are not "
        "those of sdpa or eager. Leave --model.attention unset"
    )
    if not lm._can_set_attn_implementation():  # whatever is asked for, it has an attention of its own
        raise refusal
    vocabulary = input_embeddings(lm).num_embeddings
    # All over the vocabulary: rounding in bfloat16 has least effect on common words.
    ids = (torch.arange(1, 13, device=lm.device) * (vocabulary // 13)).view(2, 6)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    real, embeds, positions = mask.bool(), input_embeddings(lm)(ids), text_positions(mask)
    row = real.new_ones(1, int(real.sum()))
    directions: tuple[Direction, ...] = ("causal", "bidirectional")
    for direction in directions:
        with attention_direction(lm, direction):
            lm.set_attn_implementation(PACKED)
            packed = last_hidden_states(lm, embeds, mask, positions)[real].float()  # [9, H]
            lm.set_attn_implementation("sdpa" if lm._supports_sdpa else "eager")
            padded = last_hidden_states(lm, embeds, mask, positions)[real].float()
            mixed = last_hidden_states(lm, embeds[real][None], row, positions[real][None])[0].float()
        # Rounding in bfloat16 is far larger than in float32, and far smaller than what a neighbour that is read does.
        tolerance = 1e-3 * padded.norm() if is_exact(lm) else 0.5 * (mixed - padded).norm()
        if (packed - padded).norm() > tolerance:
            raise refusal


def _probes(lm: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """A short text [1, 5], and the same but for its last token."""
    vocabulary = input_embeddings(lm).num_embeddings
    text = torch.arange(1, 6, device=lm.device).remainder(vocabulary)[None]
    changed = text.clone()
    changed[0, -1] = vocabulary // 2
    return text, changed


def _change(before: Tensor, after: Tensor) -> float:
    """How far the last token reaches back: the largest relative change of an earlier state."""
    before, after = before[:, :-1], after[:, :-1]
    return ((after - before).abs().max() / before.abs().max()).item()


def _states(lm: PreTrainedModel, ids: Tensor, direction: Direction, padding: int, masked: bool = True) -> Tensor:
    """Hidden states [1, T, H] of a text [1, T], read after as many tokens of padding, `masked` or read with it."""
    mask = torch.ones_like(ids)
    ids = torch.nn.functional.pad(ids, (padding, 0))
    mask = torch.nn.functional.pad(mask, (padding, 0))
    positions = text_positions(mask)
    mask = mask if masked else torch.ones_like(mask)
    with attention_direction(lm, direction):
        try:
            states = last_hidden_states(lm, input_embeddings(lm)(ids), mask, positions)
        except (AttributeError, TypeError) as error:
            raise UserError(
                f"{lm.config.model_type} ({type(lm).__name__}) is not supported: it cannot be run from embeddings, a "
                f"mask and position ids with {direction} attention ({error})"
            ) from error
    return states[:, padding:].float()
