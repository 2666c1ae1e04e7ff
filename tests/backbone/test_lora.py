"""Adapters: where they go, what they leave alone, and the same function when merged."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm2comp.backbone.lora import LoRA, adapters_disabled, add_lora, is_adapter, lora_layers, merged_state_dict
from llm2comp.errors import UserError
from tests.tiny import ARCHITECTURES, randomise_adapters, tiny_architecture, tiny_config, tiny_lm

IDS = torch.arange(3, 12)[None]


@torch.no_grad()
def states(lm: PreTrainedModel) -> Tensor:
    return lm.base_model(IDS).last_hidden_state


def adapted(model_type: str = "llama", lora: LoRA | None = None, **overrides) -> PreTrainedModel:
    torch.manual_seed(0)
    lm = tiny_architecture(model_type, **overrides)
    add_lora(lm, lora or LoRA(rank=3))
    randomise_adapters(lm)
    return lm.eval()


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_merged_unmerged_and_base_agree(model_type: str):
    torch.manual_seed(0)
    base = tiny_architecture(model_type)
    lm = copy.deepcopy(base)
    add_lora(lm, LoRA(rank=3))
    torch.testing.assert_close(states(lm.eval()), states(base), rtol=0, atol=0)  # B starts at zero
    randomise_adapters(lm)
    unmerged = states(lm)
    assert (unmerged - states(base)).abs().max() > 1e-2
    before = {name: tensor.clone() for name, tensor in lm.state_dict().items()}

    merged = copy.deepcopy(base)
    merged.load_state_dict(merged_state_dict(lm), strict=True)
    # Rounding in float32, which processors order differently; a hundredth of what the adapters must change at least.
    torch.testing.assert_close(states(merged), unmerged, rtol=1e-4, atol=1e-4)

    torch.testing.assert_close(lm.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(states(lm), unmerged, rtol=0, atol=0)
    with adapters_disabled(lm):
        torch.testing.assert_close(states(lm), states(base), rtol=0, atol=0)
    torch.testing.assert_close(states(lm), unmerged, rtol=0, atol=0)


def test_scale_is_alpha_over_rank():
    lm = adapted(lora=LoRA(rank=4, alpha=6.0, targets=["q_proj"]))
    layer = lora_layers(lm)["model.layers.0.self_attn.q_proj"]
    low_rank = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    expected = layer.base_layer.weight + 6 / 4 * low_rank
    torch.testing.assert_close(merged_state_dict(lm)["model.layers.0.self_attn.q_proj.weight"], expected)


@pytest.mark.parametrize("tied", [False, True])
def test_by_default_all_linear_layers_but_the_head_are_adapted(tied: bool):
    lm = adapted(tie_word_embeddings=tied)
    names = {name.split(".")[-1] for name in lora_layers(lm)}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(lora_layers(lm)) == 7 * 2


def test_named_targets_alone_are_adapted():
    lm = adapted(lora=LoRA(rank=3, targets=["q_proj", "layers.1.mlp.up_proj"]))
    assert set(lora_layers(lm)) == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    }


@pytest.mark.parametrize("target", ["q_prj", "lm_head", "embed_tokens", "mlp"])
def test_a_target_that_is_no_linear_layer_is_an_error_and_nothing_is_adapted(target: str):
    lm = tiny_lm(tiny_config("llama"))
    with pytest.raises(UserError, match=rf"unknown LoRA target '{target}'; (did you mean|known: .*)"):
        add_lora(lm, LoRA(targets=["v_proj", target]))
    assert not lora_layers(lm)


def test_only_adapters_train_and_in_float32():
    torch.manual_seed(0)
    lm = tiny_lm(tiny_config("llama")).to(torch.bfloat16)
    add_lora(lm, LoRA(rank=3))
    for name, parameter in lm.named_parameters():
        assert parameter.requires_grad == is_adapter(name)
        assert parameter.dtype == (torch.float32 if is_adapter(name) else torch.bfloat16)


def test_switching_adapters_off_leaves_their_gradients_on():
    lm = adapted()
    with adapters_disabled(lm):
        assert all(parameter.requires_grad for name, parameter in lm.named_parameters() if is_adapter(name))
    with pytest.raises(RuntimeError), adapters_disabled(lm):
        raise RuntimeError
    assert not any(layer.disable_adapters for layer in lora_layers(lm).values())


def test_dropout_is_on_the_adapters_input():
    lm = adapted(lora=LoRA(rank=3, dropout=0.4))
    assert {m.p for m in lm.modules() if isinstance(m, nn.Dropout) and m.p} == {0.4}
    first = states(lm)
    assert not torch.equal(states(lm.train()), first)
    torch.testing.assert_close(states(lm.eval()), first, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "LoRA rank must be at least 1, not 0.*--model.lora null"),
        ({"dropout": 1.0}, r"LoRA dropout must be in \[0, 1\), not 1.0"),
        ({"dropout": -0.1}, "LoRA dropout must be"),
        ({"targets": []}, "LoRA has no targets"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        LoRA(**options)
