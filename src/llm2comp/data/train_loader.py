"""The training batches, one epoch after another, from any position on."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from llm2comp.data.batch_dataset import BatchDataset, BatchIndex
from llm2comp.data.batch_plan import BatchPlan


class Position(NamedTuple):
    """The next batch: that of number `batch` of the epoch, over all processes where each has batches of its own."""

    epoch: int = 0
    batch: int = 0


class TrainLoader:
    """One endless stream of batches of which every pass of the loop takes as many as the first epoch has.

    With a token budget epochs differ a little in how many batches they need, while Lightning asks once how many there
    are. So each pass goes on where the last one ended: batches and worker processes run over its edge, and no batch
    is skipped or repeated. For the same reason the stream can start anywhere.

    Not a torch DataLoader, so that Lightning leaves it alone: the plan has dealt the batches to the processes already.

    Args:
        processed: how many batches the loop has trained on so far; a batch that was handed out but not trained on,
            as when Ctrl-C falls into a training step, comes again after a resume.
    """

    def __init__(
        self,
        dataset: BatchDataset,
        plan: BatchPlan,
        processed: Callable[[], int],
        *,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        self._start = Position()
        self._dataset, self._plan, self._processed = dataset, plan, processed
        self._num_workers, self._pin_memory = num_workers, pin_memory
        self._stream: Iterator[Any] | None = None
        self._processed_before = 0
        self.seconds_waited = 0.0

    def __len__(self) -> int:
        return self._plan.count(0)

    def __iter__(self) -> Iterator[Any]:
        # Nothing starts before the first batch is asked for: Lightning may call iter() before it restores a checkpoint.
        for _ in range(len(self)):
            started = time.perf_counter()
            if self._stream is None:
                self._processed_before = self._processed()
                self._stream = iter(self._dataset.loader(self._indices(), self._num_workers, self._pin_memory))
            batch = next(self._stream)
            self.seconds_waited += time.perf_counter() - started
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where a resumed run goes on; the same on every process."""
        return self._position()._asdict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        assert self._stream is None, "the position is set before the first batch"
        self._start = Position(**state_dict)

    def close(self) -> None:
        """End the worker processes now: left to the garbage collector, each would be waited for in vain."""
        self._start, self._stream = self._position(), None

    def _position(self) -> Position:
        if self._stream is None:
            return self._start
        epoch, batch = self._local_start()
        batch += self._processed() - self._processed_before
        while batch >= self._plan.count(epoch):
            batch -= self._plan.count(epoch)
            epoch += 1
        return Position(epoch, batch * self._plan.batches_at_once)

    def _local_start(self) -> tuple[int, int]:
        return self._start.epoch, self._start.batch // self._plan.batches_at_once

    def _indices(self) -> Iterator[BatchIndex]:
        epoch, first = self._local_start()
        while True:
            for examples in self._plan.batches(epoch)[first:]:
                yield BatchIndex(epoch, examples)
            epoch, first = epoch + 1, 0
