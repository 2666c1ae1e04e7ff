"""Two-pass embedding against the plain expression: the same values, gradients and random numbers, in less memory."""

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from llm2comp.errors import UserError
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.grad_cache import grad_cached
from llm2comp.objectives.contrastive.info_nce import InfoNCE

PAIRS = 6


class Model(nn.Module):
    """An embedder with dropout, a parameter frozen and one unused; and the loss.

    Autograd returns one and the same tensor as the gradient of `shift` and `bias`.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 4)
        self.bias, self.shift = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.ones(4))
        self.dropout = nn.Dropout(0.3)
        self.unused = nn.Parameter(torch.ones(3))
        self.info_nce = InfoNCE(learned_temperature=True, symmetric=True)
        self.to(dtype)
        self.first.bias.requires_grad_(False)

    def embed(self, rows: Tensor) -> Tensor:
        return self.second(self.dropout(torch.tanh(self.first(rows)))) + (self.bias + self.shift)

    def loss(self, embeddings: Tensor) -> Tensor:
        return self.info_nce(EmbeddedPairs(*embeddings.split([PAIRS, PAIRS, len(embeddings) - 2 * PAIRS])))


def inputs(rows: int = 3 * PAIRS) -> Tensor:
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def plainly(embed: Callable[[Tensor], Tensor], chunks: list[Tensor], _: object) -> Tensor:
    return torch.cat([embed(chunk) for chunk in chunks])


def step(model: Model, embedding: Callable, chunk_size: int) -> tuple[Tensor, dict[str, Tensor | None], Tensor]:
    """The loss, the gradients, and the random number drawn after the step."""
    torch.manual_seed(3)
    model.zero_grad()
    embeddings = embedding(model.embed, list(inputs().split(chunk_size)), model.parameters())
    loss = model.loss(embeddings)
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}, torch.rand(1)


@pytest.mark.parametrize("chunk_size", range(1, 3 * PAIRS + 1))
def test_step_equals_the_plain_step(chunk_size: int):
    model = Model()
    loss, gradients, random = step(model, plainly, chunk_size)
    cached_loss, cached_gradients, cached_random = step(model, grad_cached, chunk_size)
    assert cached_loss == loss
    assert cached_random == random
    torch.testing.assert_close(cached_gradients, gradients, rtol=1e-12, atol=1e-14)
    assert cached_gradients["unused"] is None
    assert cached_gradients["first.bias"] is None
    assert cached_gradients["info_nce.log_temperature"].abs() > 0


@pytest.mark.parametrize("chunk_size", range(1, 3 * PAIRS + 1))
def test_every_chunk_size_gives_the_loss_of_the_whole_batch(chunk_size: int):
    model = Model().eval()
    whole, gradients, _ = step(model, plainly, 3 * PAIRS)
    loss, cached_gradients, _ = step(model, grad_cached, chunk_size)
    torch.testing.assert_close(loss, whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(cached_gradients, gradients, rtol=1e-12, atol=1e-14)


def test_dropout_differs_between_chunks_and_steps():
    model = Model()
    same_rows = [inputs(4)] * 3
    embeddings = grad_cached(model.embed, same_rows, model.parameters()).detach().split(4)
    again = grad_cached(model.embed, same_rows, model.parameters()).detach().split(4)
    assert not torch.equal(embeddings[0], embeddings[1])
    assert not torch.equal(embeddings[0], again[0])


def test_autocast_is_replayed_outside_its_region():
    model = Model(torch.float32)
    chunks = list(inputs().float().split(5))

    def gradients(embedding: Callable, cache: bool) -> list[Tensor | None]:
        torch.manual_seed(3)
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=cache):
            embeddings = embedding(model.embed, chunks, model.parameters())
            assert model.second(torch.ones(8)).dtype == torch.bfloat16
            loss = model.loss(embeddings)
        loss.backward()
        return [p.grad for p in model.parameters()]

    # With its cache, autocast sums the gradients of the plain chunks in bfloat16; without, in float32 as they are here.
    expected = gradients(plainly, cache=False)
    torch.testing.assert_close(gradients(grad_cached, cache=True), expected, rtol=1e-5, atol=1e-6)


def test_gradients_accumulate_and_hooks_run_once():
    model = Model()
    step(model, grad_cached, 5)
    once = model.second.weight.grad.clone()
    calls = []
    handle = model.second.weight.register_post_accumulate_grad_hook(calls.append)
    torch.manual_seed(3)
    loss = model.loss(grad_cached(model.embed, list(inputs().split(5)), model.parameters()))
    (loss * 2).backward()
    handle.remove()
    assert len(calls) == 1
    torch.testing.assert_close(model.second.weight.grad, 3 * once)


def test_works_with_gradient_checkpointing():
    model = Model()
    _, expected, _ = step(model, plainly, 5)
    plain_embed = model.embed
    model.embed = lambda rows: checkpoint(plain_embed, rows, use_reentrant=False)
    _, gradients, _ = step(model, grad_cached, 5)
    torch.testing.assert_close(gradients, expected, rtol=1e-12, atol=1e-14)


def test_no_graph_without_gradients():
    model = Model().eval()
    chunks = list(inputs().split(4))
    with torch.no_grad():
        embeddings = grad_cached(model.embed, chunks, model.parameters())
    assert not embeddings.requires_grad
    torch.testing.assert_close(embeddings, model.embed(inputs()).detach())
    assert not grad_cached(model.embed, chunks, [model.first.bias]).grad_fn


def test_parameter_changed_before_backward_is_refused():
    model = Model()
    loss = model.loss(grad_cached(model.embed, list(inputs().split(5)), model.parameters()))
    with torch.no_grad():
        model.second.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_second_backward_gives_the_same():
    model = Model()
    loss = model.loss(grad_cached(model.embed, list(inputs().split(5)), model.parameters()))
    loss.backward(retain_graph=True)
    once = model.second.weight.grad.clone()
    loss.backward()
    torch.testing.assert_close(model.second.weight.grad, 2 * once)


class LiveBytes:
    """How many bytes autograd holds for backward passes at one time, parameters and the loss's own matrices aside."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = {p.data_ptr() for p in model.parameters()}
        self.now = self.peak = 0

    def pack(self, tensor: Tensor) -> "Held | Tensor":
        if tensor.data_ptr() in self.parameters:
            return tensor
        held = Held(tensor)
        self.now += tensor.nbytes
        self.peak = max(self.peak, self.now)
        weakref.finalize(held, self.release, tensor.nbytes)
        return held

    def release(self, size: int) -> None:
        self.now -= size


class Held:
    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def unpack(held: Held | Tensor) -> Tensor:
    return held.tensor if isinstance(held, Held) else held


def peak_bytes(embedding: Callable, rows: int) -> int:
    model = Model()
    live = LiveBytes(model)
    with torch.autograd.graph.saved_tensors_hooks(live.pack, unpack):
        embeddings = embedding(model.embed, list(inputs(rows).split(4)), model.parameters())
        embeddings.sum().backward()
    assert live.now == 0
    return live.peak


def test_memory_is_that_of_one_chunk():
    one = peak_bytes(grad_cached, 4)
    assert one > 0
    assert peak_bytes(grad_cached, 64) == one
    assert peak_bytes(plainly, 64) == 16 * one


def test_only_all_but_the_last_chunk_are_embedded_twice():
    model, seen = Model(), []

    def embed(rows: Tensor) -> Tensor:
        seen.append(len(rows))
        return model.embed(rows)

    grad_cached(embed, list(inputs(10).split(4)), model.parameters()).sum().backward()
    assert seen == [4, 4, 2, 4, 4]


def test_parameters_that_give_one_gradient_a_step_are_refused():
    divided = nn.Parameter(torch.ones(4))
    divided.ds_tensor = torch.ones(2)  # what ZeRO-3 marks parameters with
    with pytest.raises(UserError, match="use strategy ddp, fsdp2 or deepspeed_stage_2"):
        grad_cached(lambda rows: rows, [torch.ones(2, 2)], [divided])
