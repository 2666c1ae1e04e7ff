"""The memory of one device when a model is trained by several, under each of the strategies that Lightning has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from llm2comp.errors import UserError
from llm2comp.planning.memory_tracker import Memory, Part
from llm2comp.planning.model_size import ModelSize
from llm2comp.planning.training import Training

Strategy = Literal["one device", "ddp", "fsdp2", "deepspeed_stage_2", "deepspeed_stage_3"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
# By part; "communication" is what processes send, receive and make whole for a while.
Footprint = dict[str, int]

_OF_MODEL: tuple[Part, ...] = ("weights", "frozen copy", "trained", "gradients", "optimizer")
# Elements, as Lightning and DeepSpeed have them by default; buckets are of float32, as gradients are.
_REDUCE_BUCKET, _PREFETCH_BUCKET, _LIVE_PARAMETERS = 200_000_000, 50_000_000, 1_000_000_000
_FLOAT32 = 4


@dataclass(frozen=True)
class Moment:
    """What one device alone would hold at some time in a segment of a step, see `step_peaks`."""

    segment: str
    memory: Memory

    @property
    def is_backward(self) -> bool:
        return self.segment.startswith("backward")

    @property
    def is_step(self) -> bool:
        return self.segment == "step"


def footprint(strategy: Strategy, moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    """What a device holds at a moment of one device alone."""
    return _FOOTPRINTS[strategy](moment, training, size, devices)


def processes(strategy: Strategy, devices: int) -> int:
    """How many processes train, one a device."""
    return 1 if strategy == "one device" else devices


def refusal(strategy: Strategy, training: Training, devices: int) -> str | None:
    """Why the strategy cannot train this at all, if it cannot."""
    divides_weights = strategy in ("fsdp2", "deepspeed_stage_3")
    if divides_weights and training.quantization is not None:
        return "4-bit weights cannot be divided"
    if strategy == "deepspeed_stage_3" and getattr(training.objective, "micro_batch_size", None) is not None:
        return "micro_batch_size needs several gradients a step"
    if strategy.startswith("deepspeed") and training.device == "cpu":
        return "DeepSpeed needs GPUs"
    try:
        training.data.shared_by(processes(strategy, devices))
    except UserError as error:
        return str(error)
    return None


def _one_device(moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    return {**moment.memory, "communication": 0}


def _ddp(moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    """All of it on each device, and the buckets by which gradients are sent."""
    return {**moment.memory, "communication": size.memory["trained"]}


def _fsdp2(moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    """1/N of the model.

    Whole are, in the compute type, the block at work and the one that comes next, and of the block's gradients those
    that were computed and, in float32, those to be sent; and what lies outside the blocks, with its gradients.
    """
    element = torch.finfo(training.dtype).bits // 8
    blocks = 2 * element * size.block_parameters + (element + _FLOAT32) * size.block_trained
    return {
        **_divided(moment.memory, _OF_MODEL, devices),
        "communication": blocks + size.outside + size.outside_trained,
    }


def _zero_2(moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    """All weights, 1/N of gradients and optimiser states, and the optimiser's copy of its part of what trains.

    The gradients are sent from two buckets, that are there in the backward pass alone.
    """
    divided = _divided(moment.memory, ("gradients", "optimizer"), devices)
    divided["trained"] += -(-size.memory["trained"] // devices)
    if moment.is_step:
        divided["gradients"] *= 2  # the optimiser reads a flat copy
    elif not (moment.is_backward or training.accumulates):
        divided["gradients"] = 0
    return {**divided, "communication": 2 * _FLOAT32 * _REDUCE_BUCKET if moment.is_backward else 0}


def _zero_3(moment: Moment, training: Training, size: ModelSize, devices: int) -> Footprint:
    """1/N of the model, the optimiser's copy of its part of what trains, and that part's gradients all the time.

    Whole are up to a thousand million parameters outside of the optimiser's step, and once more those that are being
    fetched: where all of them stay whole, in the first pass of each model. Gradients are sent from a bucket that stays.
    """
    divided = _divided(moment.memory, _OF_MODEL, devices)
    part = -(-size.memory["trained"] // devices)
    divided["trained"] += part
    divided["gradients"] = part * (2 if moment.is_step else 1)  # the optimiser reads a flat copy
    kept = sum(size.memory[name] for name in ("weights", "frozen copy", "trained"))
    live, fetched = (min(kept, kept * most // size.parameters) for most in (_LIVE_PARAMETERS, _PREFETCH_BUCKET))
    first_passes = ("pass 1", "pass 2") if size.memory["frozen copy"] else ("pass 1",)
    if live == kept and moment.segment not in first_passes:
        fetched = 0
    return {**divided, "communication": _FLOAT32 * _REDUCE_BUCKET + (0 if moment.is_step else live + fetched)}


_FOOTPRINTS: dict[Strategy, Callable[[Moment, Training, ModelSize, int], Footprint]] = {
    "one device": _one_device,
    "ddp": _ddp,
    "fsdp2": _fsdp2,
    "deepspeed_stage_2": _zero_2,
    "deepspeed_stage_3": _zero_3,
}


def _divided(memory: Memory, parts: tuple[Part, ...], devices: int) -> Footprint:
    return {part: -(-size // devices) if part in parts else size for part, size in memory.items()}
