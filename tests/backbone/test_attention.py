"""Attention direction on many architectures, by perturbation: a changed token shows where it is seen."""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.backbone.attention import _states, attention_direction, check_switch
from llm2comp.errors import UserError
from tests.tiny import ARCHITECTURES, EVERY_ATTENTION, tiny_architecture, tiny_config, tiny_lm

LENGTH = 10
CHANGED = 6

# One layer whose window is shorter than the text.
SLIDING: dict[str, dict] = {
    "mistral": {},
    "phi3": {},
    "starcoder2": {},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 0},
    "qwen3": {"use_sliding_window": True, "max_window_layers": 0},
    **{
        name: {"layer_types": ["sliding_attention"]}
        for name in ("gemma2", "gemma3_text", "olmo3", "cohere2", "exaone4")
    },
}


def seen_by(lm: PreTrainedModel, mask: Tensor | None) -> list[int]:
    """The positions whose state changes with the token at position CHANGED."""
    ids = torch.arange(3, 3 + LENGTH)[None]
    changed = ids.clone()
    changed[0, CHANGED] = 200
    with torch.no_grad():
        before, after = (lm.base_model(each, attention_mask=mask).last_hidden_state[0] for each in (ids, changed))
    difference = (before - after).abs().amax(-1)  # [T]
    real = torch.ones(LENGTH, dtype=torch.bool) if mask is None else mask[0].bool()
    return (real & (difference > 1e-5)).nonzero().flatten().tolist()


@pytest.mark.parametrize(("model_type", "attention"), EVERY_ATTENTION)
def test_a_token_is_seen_in_the_direction_asked_for_and_again_after_switching(model_type: str, attention: str):
    torch.manual_seed(0)
    lm = tiny_architecture(model_type, attention)
    padded = torch.ones(1, LENGTH, dtype=torch.long)
    padded[0, :3] = 0
    for mask, first in ((None, 0), (torch.ones_like(padded), 0), (padded, 3)):
        for direction in ("causal", "bidirectional", "causal", "bidirectional"):
            with attention_direction(lm, direction):
                assert seen_by(lm, mask) == list(range(CHANGED if direction == "causal" else first, LENGTH))
        assert seen_by(lm, mask) == list(range(CHANGED, LENGTH)), "left as it was found"
    check_switch(lm)


@pytest.mark.parametrize(("model_type", "attention"), [each for each in EVERY_ATTENTION if each[0] in SLIDING])
def test_a_sliding_window_reaches_both_ways(model_type: str, attention: str):
    torch.manual_seed(0)
    overrides = {"num_hidden_layers": 1, "sliding_window": 3, **SLIDING[model_type]}
    lm = tiny_architecture(model_type, attention, **overrides)
    padded = torch.ones(1, LENGTH, dtype=torch.long)
    padded[0, 0] = 0
    for mask in (None, padded):
        with attention_direction(lm, "causal"):
            assert seen_by(lm, mask) == [6, 7, 8]
        with attention_direction(lm, "bidirectional"):
            assert seen_by(lm, mask) == [3, 4, 5, 6, 7, 8, 9]
    check_switch(lm)


def test_the_direction_is_restored_after_an_error():
    lm = tiny_lm(tiny_config("llama"))
    with pytest.raises(RuntimeError), attention_direction(lm, "bidirectional"):
        raise RuntimeError
    assert seen_by(lm, None) == list(range(CHANGED, LENGTH))
    with attention_direction(lm, "bidirectional"), attention_direction(lm, "causal"):
        assert seen_by(lm, None) == list(range(CHANGED, LENGTH))


@pytest.mark.parametrize("model_type", ["stablelm", "nemotron"])
def test_attention_that_stays_causal_is_refused_by_name(model_type: str):
    """With eager attention they do switch, but whoever opens the exported folder would read causally."""
    for attention in ("sdpa", "eager"):
        lm = tiny_lm(tiny_config(model_type), attention)
        with pytest.raises(
            UserError, match=rf"{model_type} .* cannot be made bidirectional: it stays causal with sdpa"
        ):
            check_switch(lm)
        assert lm.config._attn_implementation == attention


def test_a_model_without_attention_is_refused():
    with pytest.raises(UserError, match=r"mamba .* cannot be made bidirectional"):
        check_switch(tiny_lm(tiny_config("mamba"), "eager"))


def test_layers_that_stay_causal_among_others_are_refused():
    lm = tiny_lm(tiny_config("lfm2", layer_types=["conv", "full_attention"]))
    with pytest.raises(UserError, match=r"lfm2 .* cannot be made bidirectional: its conv layers stay causal"):
        check_switch(lm)


@pytest.mark.parametrize("model_type", ["bert", "electra"])
def test_an_encoder_only_model_is_refused(model_type: str):
    with pytest.raises(UserError, match=rf"{model_type} .* is not a decoder-only language model"):
        check_switch(tiny_lm(tiny_config(model_type), "sdpa"))


def test_a_model_that_reads_padding_is_refused():
    """BART's decoder counts positions from the left edge, whatever position ids it is given."""
    with pytest.raises(UserError, match=r"bart .* reads a text differently when padding stands before it"):
        check_switch(tiny_lm(tiny_config("bart", d_model=32, decoder_layers=1, decoder_ffn_dim=32), "sdpa"))


def test_rounding_that_stands_in_the_way_is_called_so(monkeypatch: pytest.MonkeyPatch):
    """As it is with SmolLM2-135M on processors without bfloat16 instructions."""
    torch.manual_seed(0)
    lm = tiny_lm(tiny_config("llama", initializer_range=0.3), "sdpa").bfloat16()
    check_switch(lm)

    def rounded(lm, ids, direction, padding, masked=True):
        return _states(lm, ids, direction, padding, masked) * (1.2 if padding and masked else 1.0)

    monkeypatch.setattr("llm2comp.backbone.attention._states", rounded)
    with pytest.raises(UserError, match=r"rounding alone changes what is read .* by 20% .*dtype float32"):
        check_switch(lm)


def test_a_model_that_does_not_switch_back_is_refused(monkeypatch: pytest.MonkeyPatch):
    lm = tiny_lm(tiny_config("llama"))
    forward = lm.base_model.forward
    switched = []

    def sticky(**inputs):
        if switched or not lm.config.is_causal:
            switched.append(True)
            lm.config.is_causal = False
        return forward(**inputs)

    monkeypatch.setattr(lm.base_model, "forward", sticky)
    with pytest.raises(UserError, match="its attention is not causal"):
        check_switch(lm)


def test_a_model_that_cannot_be_run_from_embeddings_is_refused():
    with pytest.raises(UserError, match=r"mpt .* cannot be run from embeddings"):
        check_switch(tiny_lm(tiny_config("mpt"), "eager"))


def test_enough_architectures_are_proven():
    assert len(ARCHITECTURES) >= 14
