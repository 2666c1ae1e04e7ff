"""Embedding a large batch in the memory of a small one: GradCache (Gao et al. 2021, arXiv 2101.06983)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed.tensor import DTensor

from llm2comp.errors import UserError

Chunk = TypeVar("Chunk")


def grad_cached(embed: Callable[[Chunk], Tensor], chunks: Sequence[Chunk], parameters: Iterable[Tensor]) -> Tensor:
    """`torch.cat([embed(chunk) for chunk in chunks])` that holds the graph of one chunk at a time.

    The value and the gradients are those of the plain expression, dropout included. Chunks are embedded without a
    graph, and again with one in `backward()` once the gradients of their embeddings are known, with the random state
    and the autocast of the first time. Only the last chunk keeps its graph, as it is the first to be needed, so that
    n chunks cost n - 1 forward passes more. Parameters receive their gradient once, summed over chunks: hooks (DDP),
    accumulation and scaling see one backward pass; only where FSDP2 shards them, each chunk has a backward pass of its
    own, as FSDP2 sums gradients after each. Call it once a step, with the queries' and the candidates' chunks together:
    each call keeps one graph.

    Args:
        embed: embeddings `[rows, D]` of a chunk; random by torch's generators alone, and changing nothing else.
        chunks: micro-batches in the form `embed` reads.
        parameters: those that `embed` uses and that are trained; others may be among them. No gradient goes to what
            is not named here.

    Raises:
        UserError: parameters are sharded by ZeRO-3, which takes one gradient of each a step.
    """
    trained = list(dict.fromkeys(p for p in parameters if p.requires_grad))
    if not torch.is_grad_enabled() or not trained:
        with torch.no_grad():
            return torch.cat([embed(chunk) for chunk in chunks])
    if any(hasattr(p, "ds_tensor") for p in trained):
        raise UserError(
            "micro_batch_size needs several gradients of each parameter a step, and ZeRO-3 takes one: use strategy "
            "ddp, fsdp2 or deepspeed_stage_2, or set micro_batch_size to null"
        )
    if any(isinstance(p, DTensor) for p in trained):
        anchor = torch.zeros((), device=trained[0].device, requires_grad=True)
        return _GradCached.apply(embed, chunks, True, anchor)
    return _GradCached.apply(embed, chunks, False, *trained)


class _GradCached(torch.autograd.Function):
    """The parameters are inputs, so their gradients are returned, and never accumulated behind autograd's back.

    Where they are sharded, each chunk's backward pass accumulates them, and the input is an anchor in their stead.
    """

    @staticmethod
    def forward(
        ctx: Any, embed: Callable[[Chunk], Tensor], chunks: Sequence[Chunk], sharded: bool, *parameters: Tensor
    ) -> Tensor:
        ctx.embed, ctx.chunks, ctx.sharded, ctx.parameters = embed, chunks, sharded, parameters
        ctx.autocast = _current_autocast(parameters)
        ctx.random_states, embeddings = [], []
        for i, chunk in enumerate(chunks):
            ctx.random_states.append(_random_state(parameters))
            with torch.set_grad_enabled(i == len(chunks) - 1), ctx.autocast:
                embeddings.append(embed(chunk))
        ctx.sizes = [len(rows) for rows in embeddings]
        ctx.last = embeddings[-1]
        return torch.cat(embeddings)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        outside = _random_state(ctx.parameters)
        sums: list[Tensor | None] = [None] * len(ctx.parameters)
        chunks = zip(ctx.chunks, ctx.random_states, grad.split(ctx.sizes), strict=True)
        for chunk, random_state, chunk_grad in reversed(list(chunks)):
            # Taken from the context, so that it is gone when the next chunk's graph is built.
            embeddings, ctx.last = ctx.last, None
            if embeddings is None:
                embeddings = _replay(ctx, chunk, random_state)
            if ctx.sharded:
                torch.autograd.backward(embeddings, chunk_grad)
            else:
                _add(torch.autograd.grad(embeddings, ctx.parameters, chunk_grad, allow_unused=True), sums)
        _set_random_state(outside, ctx.parameters)
        return None, None, None, *sums


def _replay(ctx: Any, chunk: Any, random_state: Sequence[Tensor]) -> Tensor:
    _set_random_state(random_state, ctx.parameters)
    with torch.enable_grad(), ctx.autocast:
        return ctx.embed(chunk)


def _add(gradients: Sequence[Tensor | None], sums: list[Tensor | None]) -> None:
    """Add to each sum its gradient, not in place: autograd may return one tensor as the gradient of two parameters."""
    for i, gradient in enumerate(gradients):
        total = sums[i]
        if gradient is not None:
            sums[i] = gradient if total is None else total + gradient


def _current_autocast(parameters: Sequence[Tensor]) -> torch.autocast:
    device = parameters[0].device.type
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype=dtype, enabled=enabled)


def _accelerators(parameters: Sequence[Tensor]) -> list[torch.device]:
    return sorted({p.device for p in parameters if p.device.type != "cpu"}, key=str)


def _random_state(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The states of the CPU's generator and of the generator of each accelerator that holds parameters."""
    devices = _accelerators(parameters)
    return [torch.get_rng_state(), *(torch.get_device_module(d).get_rng_state(d) for d in devices)]


def _set_random_state(states: Sequence[Tensor], parameters: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    for device, state in zip(_accelerators(parameters), states[1:], strict=True):
        torch.get_device_module(device).set_rng_state(state, device)
