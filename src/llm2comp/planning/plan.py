"""Which strategies have room for a training run, and for how large a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from llm2comp.planning.full_batch import BatchSize, batch_size, full_batch
from llm2comp.planning.memory_tracker import Memory
from llm2comp.planning.model_size import ModelSize, model_size
from llm2comp.planning.shapes_only import LARGEST_REAL
from llm2comp.planning.strategies import Footprint, Moment, Strategy, footprint, processes, refusal
from llm2comp.planning.training import Training
from llm2comp.planning.training_step import Peaks, step_peaks

# Of a device's memory; the rest is for CUDA's context and libraries, and for gaps between tensors.
USABLE = 0.92


@dataclass(frozen=True)
class StrategyPlan:
    """What a strategy takes of each device, in bytes by part, with the batch of the experiment.

    `largest`: what the option of the batch's size may be; 0 where there is no room for a single row. `refused`: why
    the strategy cannot be used at all.
    """

    strategy: Strategy
    memory: Footprint
    fits: bool
    largest: int
    refused: str | None = None

    @property
    def total(self) -> int:
        return sum(self.memory.values())


class Plan:
    """The memory of an experiment on `devices` devices of `device_memory` bytes each."""

    def __init__(self, training: Training, devices: int, device_memory: float) -> None:
        self.training, self.devices = training, devices
        self.usable = USABLE * device_memory
        self._peaks: dict[tuple[int, bool], Peaks] = {}

    @cached_property
    def size(self) -> ModelSize:
        return model_size(self.training)

    @cached_property
    def batch(self) -> BatchSize:
        return batch_size(self.training)

    def of(self, strategy: Strategy) -> StrategyPlan:
        """The plan of one strategy."""
        if reason := refusal(strategy, self.training, self.devices):
            return StrategyPlan(strategy, {}, False, 0, reason)
        number = processes(strategy, self.devices)
        rows = self.batch.rows(number)
        memory = self.peak(strategy, rows)
        largest = _largest(lambda rows: self.total(strategy, rows), self.usable, rows, self._most_rows)
        fits = sum(memory.values()) <= self.usable
        return StrategyPlan(strategy, memory, fits, self.batch.value_for(largest, number))

    def peak(self, strategy: Strategy, rows: int) -> Footprint:
        """The memory of a device, by part, when it is most in a step of full batches of so many rows."""
        moments = [
            Moment(segment, self._whole(memory))
            for segment, peaks in self._step(strategy, rows).items()
            for memory in peaks
        ]
        found = [footprint(strategy, moment, self.training, self.size, self.devices) for moment in moments]
        return max(found, key=lambda memory: sum(memory.values()))

    def total(self, strategy: Strategy, rows: int) -> int:
        """The same in sum."""
        return sum(self.peak(strategy, rows).values())

    def _step(self, strategy: Strategy, rows: int) -> Peaks:
        # FSDP2 makes weights that train whole in the compute type, which elsewhere is a second copy of them.
        casts = strategy == "fsdp2" and self.training.lora is None
        if (rows, casts) not in self._peaks:
            self._peaks[rows, casts] = step_peaks(self.training, rows, self.size.num_layers, casts)
        return self._peaks[rows, casts]

    def _whole(self, memory: Memory) -> Memory:
        """The memory at a moment, with the model as it is in place of how its first two layers let it be expected."""
        scale = self.size.memory["trained"] / memory["trained"]
        per_trained: Memory = {"gradients": 0, "optimizer": 0}
        for part in per_trained:
            per_trained[part] = round(scale * memory[part])
        unchanging: Memory = {part: self.size.memory[part] for part in ("weights", "frozen copy", "trained")}
        return {**memory, **per_trained, **unchanging}

    @cached_property
    def _most_rows(self) -> int:
        """The rows of a batch whose integers can be real."""
        batch: Any = full_batch(self.training, 2)
        return 2 * LARGEST_REAL // max(tensor.numel() for tensor in vars(batch).values() if isinstance(tensor, Tensor))


def _largest(total: Callable[[int], int], room: float, rows: int, most: int) -> int:
    """The most rows with `total` of at most `room`, where all rows but the first few add nearly the same."""
    previous, last = max(rows, 2), 2 * max(rows, 2)
    for _ in range(8):
        a_row = (total(last) - total(previous)) / (last - previous)
        found = min(max(int(last + (room - total(last)) // a_row), 1), most)
        if found == last:
            break
        previous, last = last, found
    while last and total(last) > room:
        last -= 1
    return last
