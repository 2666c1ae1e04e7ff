"""Compiled passes and losses are those that are not, in every role; compiling is refused or left where it cannot be."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from llm2comp.backbone import compilation
from llm2comp.backbone.backbone import Backbone
from llm2comp.backbone.blocks import checkpoint_blocks, find_blocks
from llm2comp.backbone.compilation import compiler_problem, should_compile
from llm2comp.backbone.lora import LoRA
from llm2comp.errors import UserError
from llm2comp.objectives import token_losses
from llm2comp.objectives.token_losses import cross_entropy, kl_divergence
from tests.tiny import randomise_adapters, tiny_architecture

CASES = [("llama", "sdpa", False), ("qwen3", "eager", True)]


@pytest.fixture
def compiling(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("TORCHDYNAMO_DISABLE")
    token_losses._compiled_chunk.cache_clear()
    compiler_problem.cache_clear()
    if (problem := compiler_problem()) is not None:
        pytest.skip(problem)
    yield
    token_losses._compiled_chunk.cache_clear()
    torch._dynamo.reset()


def roles(backbone: Backbone, length: int, padded: bool) -> list[Tensor]:
    """Losses of the encoder's states read by the decoder, against the decoder that has read the text itself."""
    ids = 3 + torch.arange(2 * length).reshape(2, length) % 300
    mask = torch.ones_like(ids)
    if padded:
        mask[0, :2] = 0
    states = backbone.encode(backbone.embed(ids), mask, (mask.cumsum(-1) - 1).clamp(min=0))
    student = backbone.decode(states, mask).flatten(0, 1)
    with torch.no_grad():
        teacher = backbone.decode(backbone.decoder_embed(ids), mask).flatten(0, 1)
    head = backbone.head
    return [kl_divergence(student, teacher, head, 2.0), cross_entropy(student, ids.flatten(), head)]


@pytest.mark.slow
@pytest.mark.parametrize(("model_type", "attention", "recomputed"), CASES)
def test_losses_and_gradients_are_the_same(compiling: None, model_type: str, attention: str, recomputed: bool) -> None:
    """Float32, to 1e-4 of the largest gradient; without dropout, of which compiled code draws other random numbers."""

    def trained(prepare: Callable[[Backbone], None]) -> tuple[list[Tensor], list[Tensor]]:
        torch.manual_seed(0)
        backbone = Backbone(tiny_architecture(model_type, attention))
        backbone.make_trainable(LoRA(rank=4, dropout=0.0), keep_decoder=True)
        randomise_adapters(backbone)
        prepare(backbone)
        if recomputed:
            checkpoint_blocks(backbone.lm)
        losses = [loss for padded in (False, True) for loss in roles(backbone, 9, padded)]
        torch.stack(losses).sum().backward()
        return losses, [p.grad for p in backbone.parameters() if p.grad is not None]

    losses, gradients = trained(Backbone.compile_passes)
    expected, expected_gradients = trained(lambda backbone: None)
    torch.testing.assert_close(losses, expected, rtol=1e-5, atol=1e-6)
    scale = max(gradient.abs().max().item() for gradient in expected_gradients)
    assert scale > 0
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
def test_blocks_share_what_is_compiled(compiling: None) -> None:
    """One graph a role, not one a block, nor one a length."""
    backbone = Backbone(tiny_architecture("llama", "eager", num_hidden_layers=6))
    backbone.compile_passes()
    assert all(hasattr(block.forward, "_torchdynamo_orig_callable") for block in find_blocks(backbone.lm))
    torch._dynamo.utils.counters.clear()
    for length in (5, 14):
        roles(backbone, length, padded=True)
    assert 0 < torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 8
    assert not torch._dynamo.utils.counters["graph_break"]


def test_auto_is_for_one_process_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(compilation, "compiler_problem", lambda: None)
    assert should_compile("auto", processes=1, sharded=False)
    assert not should_compile("auto", processes=2, sharded=False)
    assert should_compile(True, processes=2, sharded=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not should_compile("auto", processes=1, sharded=False)


def test_what_cannot_compile_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: Callable) -> Callable:
        raise RuntimeError("No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", broken)
    compiler_problem.cache_clear()
    assert not should_compile("auto", processes=1, sharded=False)
    assert not should_compile(False, processes=1, sharded=True)
    with pytest.raises(UserError, match=r"g\+\+ and the headers of Python.*: No working C\+\+ compiler found\)"):
        should_compile(True, processes=1, sharded=False)
    with pytest.raises(UserError, match="where weights are sharded"):
        should_compile(True, processes=2, sharded=True)
    compiler_problem.cache_clear()
