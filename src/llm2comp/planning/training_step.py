"""The memory of a training step, seen by running it for its shapes."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm2comp.backbone.blocks import find_blocks
from llm2comp.encoder.encoder import Encoder
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.gpu import GPU_UNIT, as_on_gpu
from llm2comp.planning.memory_tracker import PARTS, Memory, MemoryTracker, Part
from llm2comp.planning.shapes_only import shapes_only, without_memory
from llm2comp.planning.training import Training

Peaks = dict[str, tuple[Memory, Memory]]


def step_peaks(training: Training, rows: int, num_layers: int, cast_blocks: bool = False) -> Peaks:
    """The peaks of each segment of a step on a full batch of so many rows, see `MemoryTracker`.

    `cast_blocks`: all weights of the blocks are in the compute type.

    The step is run with two layers and with three, for the shapes of its tensors; each further layer adds what the
    third does. (The second may add more than others: from there on, a pass holds its input and a layer's output.) A
    segment ends where a language model's pass or its backward pass does, so in a deeper model its peak is at the same
    place.
    """
    two, three = (_trace(training, rows, layers, cast_blocks) for layers in (2, 3))
    assert two.keys() == three.keys()
    return {
        segment: (
            _extrapolate(two[segment][0], three[segment][0], num_layers),
            _extrapolate(two[segment][1], three[segment][1], num_layers),
        )
        for segment in two
    }


def run_step(
    encoder: Encoder, objective: Any, make_batch: Callable[[], Any], tracker: MemoryTracker, accumulates: bool = False
) -> None:
    """A training step as Lightning makes it, after others: gradients of the step before and optimiser states are there.

    `accumulates`: the batch is not the first of its step, so gradients are added to those before.
    """
    count_model(encoder, tracker)
    modules = [encoder, *([objective] if isinstance(objective, nn.Module) else [])]
    trained = [parameter for module in modules for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, foreach=tracker.unit > 1)  # foreach is the default on GPUs
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
        tracker.count(parameter.grad, "gradients")
        parameter.register_post_accumulate_grad_hook(lambda p: tracker.count(p.grad, "gradients"))
    _name_segments(encoder.backbone.language_models, tracker)
    with tracker:
        with tracker.all_is("optimizer"):
            optimizer.step()
        loss = objective(encoder, make_batch())
        if not accumulates:
            optimizer.zero_grad()
        loss.backward()
        tracker.begin("step")
        with tracker.all_is("optimizer"):
            optimizer.step()


def count_model(encoder: Encoder, tracker: MemoryTracker) -> None:
    """Let the tracker know what the parameters and buffers are."""
    copied = encoder.backbone.frozen_decoder
    of_copy = set() if copied is None else {id(tensor) for tensor in (*copied.parameters(), *copied.buffers())}
    for tensor in (*encoder.parameters(), *encoder.buffers()):
        part: Part = "trained" if tensor.requires_grad else "frozen copy" if id(tensor) in of_copy else "weights"
        tracker.count(tensor, part)


def _name_segments(lms: list[PreTrainedModel], tracker: MemoryTracker) -> None:
    passes = 0

    def begins(*_: Any) -> None:
        nonlocal passes
        passes += 1
        tracker.begin(f"pass {passes}")

    def ends(module: nn.Module, args: Any, output: Any) -> None:
        number = passes
        tracker.begin(f"after pass {number}")
        states: Tensor = output.last_hidden_state
        if states.requires_grad:
            states.register_hook(lambda _: tracker.begin(f"backward of pass {number}"))

    for lm in lms:
        lm.base_model.register_forward_pre_hook(begins)
        lm.base_model.register_forward_hook(ends)


def _trace(training: Training, rows: int, num_layers: int, cast_blocks: bool) -> Peaks:
    encoder, objective = training.encoder(num_layers), copy.deepcopy(training.objective)
    if cast_blocks:
        find_blocks(encoder.backbone.lm).to(training.dtype)
    gpu = training.device == "cuda"
    with shapes_only(), as_on_gpu() if gpu else nullcontext():
        for module in (encoder, objective):
            if isinstance(module, nn.Module):
                without_memory(module)
        tracker = MemoryTracker(encoder.backbone.head.vocab_size, GPU_UNIT if gpu else 1)
        run_step(encoder, objective, lambda: full_batch(training, rows), tracker, training.accumulates)
    return tracker.peaks


def _extrapolate(two: Memory, three: Memory, num_layers: int) -> Memory:
    return {part: two[part] + (num_layers - 2) * (three[part] - two[part]) for part in PARTS}
