"""The language-model head: its logits are the model's own, its gradient is autograd's."""

import pytest
import torch
from torch import Tensor

from llm2comp.backbone.head import LMHead, check_head, lm_head
from llm2comp.errors import UserError
from tests.tiny import ARCHITECTURES, tiny_architecture, tiny_config, tiny_lm


@pytest.mark.parametrize("model_type", ARCHITECTURES)
@torch.no_grad()
def test_logits_are_the_models(model_type: str):
    torch.manual_seed(0)
    lm = tiny_architecture(model_type)
    ids = torch.randint(384, (2, 7))
    head = lm_head(lm)
    hidden_states = lm.base_model(ids).last_hidden_state
    expected = lm(ids).logits.float()
    torch.testing.assert_close(head.logits(hidden_states.flatten(0, 1)).view_as(expected), expected)
    assert head.vocab_size == 384
    check_head(lm)


@pytest.mark.parametrize(
    ("model_type", "part"), [("granite", "scale"), ("cohere", "scale"), ("gemma2", "softcap"), ("phi", "bias")]
)
def test_each_part_is_needed(model_type: str, part: str, monkeypatch: pytest.MonkeyPatch):
    """Without it the check of the logits fails, so an architecture with a part of its own is refused too."""
    torch.manual_seed(0)
    lm = tiny_architecture(model_type)
    whole = lm_head(lm)
    without = {"weight": whole.weight, "bias": whole.bias, "scale": whole.scale, "softcap": whole.softcap}
    assert getattr(whole, part) is not None
    without[part] = 1.0 if part == "scale" else None
    monkeypatch.setattr("llm2comp.backbone.head.lm_head", lambda _: LMHead(**without))
    with pytest.raises(UserError, match=f"{model_type} .* computes its logits in a way not supported"):
        check_head(lm)


def test_a_model_without_a_head_is_refused():
    with pytest.raises(UserError, match="LlamaModel has no language-model head"):
        lm_head(tiny_lm(tiny_config("llama")).base_model)


def plain_logits(head: LMHead, hidden_states: Tensor) -> Tensor:
    logits = hidden_states @ head.weight.T
    if head.bias is not None:
        logits = logits + head.bias
    logits = head.scale * logits
    return logits if head.softcap is None else head.softcap * torch.tanh(logits / head.softcap)


@pytest.mark.parametrize("scale", [1.0, 0.25])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("with_bias", [False, True])
def test_gradient_is_autograds(scale: float, softcap: float | None, with_bias: bool):
    generator = torch.Generator().manual_seed(0)
    weight, hidden_states, upstream = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((11, 5), (7, 5), (7, 11))
    )
    bias = torch.randn(11, generator=generator, dtype=torch.float64) if with_bias else None
    head = LMHead(weight, bias, scale, softcap)
    hidden_states.requires_grad_()
    expected = plain_logits(head, hidden_states)
    (gradient,) = torch.autograd.grad(expected, hidden_states, upstream)
    with torch.no_grad():
        logits = head.logits(hidden_states)
        torch.testing.assert_close(logits, expected)
        torch.testing.assert_close(head.grad_hidden(upstream, logits), gradient)


def test_logits_of_bfloat16_weights_are_float32():
    head = LMHead(torch.randn(11, 5).bfloat16(), torch.randn(11).bfloat16(), scale=0.5, softcap=3.0)
    logits = head.logits(torch.randn(2, 5))
    assert logits.dtype == torch.float32
    assert head.grad_hidden(torch.randn(2, 11), logits).shape == (2, 5)
