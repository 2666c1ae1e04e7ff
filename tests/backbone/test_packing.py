"""Packed texts, against the same texts in a batch with padding and one at a time."""

import inspect
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn
from transformers import PreTrainedModel

from llm2comp.backbone.attention import Direction, attention_direction, check_switch
from llm2comp.backbone.forward import input_embeddings, last_hidden_states
from llm2comp.backbone.loading import fast_dtype, load_lm
from llm2comp.backbone.packing import PACKED, kernel, text_by_text
from llm2comp.backbone.spec import resolve
from llm2comp.errors import UserError
from llm2comp.memory import text_positions
from tests.backbone.test_attention import SLIDING
from tests.tiny import ARCHITECTURES, tiny_architecture

# Those that do not take their attention from transformers' interface, or cap its scores.
NEVER_PACKED = {
    "gptj": "gptj has no packed attention",
    "bloom": "bloom .* cannot be read with packed attention",
    "gemma2": "packed attention has no softcap, which gemma2 needs",
}
PACKABLE = [model_type for model_type in ARCHITECTURES if model_type not in NEVER_PACKED]
MASK = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1] * 7, [0, 1, 1, 1, 1, 1, 1], [0] * 6 + [1]])
DIRECTIONS: list[Direction] = ["causal", "bidirectional"]


def states_and_gradients(lm: PreTrainedModel, ids: Tensor, mask: Tensor, direction: Direction) -> tuple[Tensor, Tensor]:
    """The states [N, H] of real tokens, and a loss's gradient by every token's embedding [B, T, H]."""
    embeds = input_embeddings(lm)(ids).detach().requires_grad_()
    with attention_direction(lm, direction):
        states = last_hidden_states(lm, embeds, mask, text_positions(mask))
    assert states.shape == embeds.shape
    real = states[mask.bool()]
    weights = torch.linspace(-1, 1, real.numel(), dtype=real.dtype).view_as(real)
    return real.detach(), torch.autograd.grad((real.sin() * weights).sum(), embeds)[0]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("model_type", PACKABLE)
def test_states_and_gradients_are_those_of_a_padded_batch(model_type: str, direction: Direction):
    torch.manual_seed(0)
    sliding = {"num_hidden_layers": 1, "sliding_window": 3, **SLIDING[model_type]} if model_type in SLIDING else {}
    lm = tiny_architecture(model_type, "sdpa", **sliding)
    exact = model_type != "mixtral"  # its experts' products are not there in float64
    lm = lm.double() if exact else lm
    ids = torch.randint(3, 300, MASK.shape)
    padded, padded_grad = states_and_gradients(lm, ids, MASK, direction)
    lm.set_attn_implementation(PACKED)
    packed, packed_grad = states_and_gradients(lm, ids, MASK, direction)
    tolerance = 1e-8 if exact else 1e-4
    torch.testing.assert_close(packed, padded, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(packed_grad, padded_grad, rtol=tolerance, atol=tolerance)
    assert (packed_grad[MASK == 0] == 0).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_text_is_read_as_if_it_were_alone(direction: Direction):
    torch.manual_seed(0)
    lm = tiny_architecture("llama", PACKED).double()
    ids = torch.randint(3, 300, MASK.shape)
    together, _ = states_and_gradients(lm, ids, MASK, direction)
    for states, row, mask in zip(together.split(MASK.sum(-1).tolist()), ids, MASK, strict=True):
        text = row[mask.bool()][None]
        alone, _ = states_and_gradients(lm, text, torch.ones_like(text), direction)
        torch.testing.assert_close(states, alone)


@pytest.mark.parametrize("model_type", PACKABLE)
def test_it_is_proven_when_a_model_is_loaded(model_type: str):
    torch.manual_seed(0)
    lm = tiny_architecture(model_type, PACKED)
    check_switch(lm)
    assert lm.config._attn_implementation == PACKED


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_texts_that_are_read_into_each_other_are_found(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)

    def whole_row(q: Tensor, k: Tensor, v: Tensor, bounds: Tensor, *rest: object, **options: object) -> Tensor:
        return text_by_text(q, k, v, torch.tensor([0, len(q)]), *rest, **options)  # type: ignore[arg-type]

    lm = tiny_architecture("llama", PACKED, initializer_range=0.2).to(dtype)
    check_switch(lm)
    monkeypatch.setattr("llm2comp.backbone.packing.text_by_text", whole_row)
    with pytest.raises(UserError, match=r"llama .* cannot be read with packed attention"):
        check_switch(lm)


@pytest.mark.slow
def test_a_real_model_is_proven_in_spite_of_its_rounding():
    lm = load_lm(resolve("embedded:smollm2-135m"), fast_dtype(), PACKED)
    assert lm.config._attn_implementation == PACKED


@pytest.mark.parametrize(("model_type", "why"), NEVER_PACKED.items())
def test_a_model_that_cannot_be_packed_is_refused_by_name(model_type: str, why: str, tmp_path: Path):
    tiny_architecture(model_type, "eager").save_pretrained(tmp_path)
    with pytest.raises(UserError, match=why):
        load_lm(resolve(str(tmp_path)), torch.float32, PACKED)


def test_dropout_of_attention_weights_is_refused(tmp_path: Path):
    tiny_architecture("llama").save_pretrained(tmp_path)
    with pytest.raises(UserError, match="packed attention has no dropout"):
        load_lm(resolve(str(tmp_path)), torch.float32, PACKED, attention_dropout=0.1)


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (2, 0), (2, 2), (0, 0)])
def test_text_by_text_is_attention_as_it_is_defined(window: tuple[int, int]):
    torch.manual_seed(0)
    lengths = [3, 1, 5]
    q, k, v = torch.randn(3, sum(lengths), 2, 4, dtype=torch.double)
    bounds = F.pad(torch.tensor(lengths).cumsum(0), (1, 0))
    found = text_by_text(q, k, v, bounds, bounds, 5, 5, scale=0.3, window_size=window)
    for i in range(len(q)):
        first, last = next((a, b) for a, b in pairwise(bounds.tolist()) if a <= i < b)
        seen = [
            j
            for j in range(first, last)
            if (window[0] < 0 or i - j <= window[0]) and (window[1] < 0 or j - i <= window[1])
        ]
        for head in range(2):
            weights = torch.softmax(0.3 * (k[seen, head] @ q[i, head]), dim=0)
            torch.testing.assert_close(found[i, head], weights @ v[seen, head])


def test_a_gpu_has_a_kernel_for_half_precision_alone():
    assert kernel("cuda", torch.bfloat16) is varlen_attn
    assert kernel("cpu", torch.float32) is text_by_text
    with pytest.raises(UserError, match=r"needs bfloat16, not torch\.float32"):
        kernel("cuda", torch.float32)


def test_the_call_is_one_that_the_kernel_takes():
    ours, theirs = inspect.signature(text_by_text).parameters, inspect.signature(varlen_attn).parameters
    assert list(ours)[:7] == list(theirs)[:7]
    for name in ("scale", "window_size"):
        assert (ours[name].kind, ours[name].default) == (theirs[name].kind, theirs[name].default)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_kernel_reads_as_text_by_text_does(direction: Direction):
    torch.manual_seed(0)
    lm = tiny_architecture("llama", PACKED, head_dim=16).to("cuda", torch.bfloat16)
    ids = torch.randint(3, 300, MASK.shape)
    packed, packed_grad = states_and_gradients(lm, ids.cuda(), MASK.cuda(), direction)
    plain, plain_grad = states_and_gradients(lm.cpu().float(), ids, MASK, direction)
    torch.testing.assert_close(packed.cpu().float(), plain, rtol=0.05, atol=0.05)
    torch.testing.assert_close(packed_grad.cpu().float(), plain_grad, rtol=0.1, atol=0.1)
