"""The training batches of a stream, from any place on."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from llm2comp.data.streaming.made_buffers import MadeBuffer, MadeBuffers, unpack
from llm2comp.data.streaming.stream import Place, Stream
from llm2comp.errors import UserError

_EXCHANGE_EVERY = 64  # batches


class StreamLoader:
    """One endless stream of batches on each process.

    No process knows how many batches its share makes, let alone the others': each goes on to its next epoch when its
    share of one is over, so all take as many steps as the trainer asks for and none waits for another.

    A checkpoint is written by one process, but has to say where each of them is. So every few batches they tell each
    other their places; a resumed run starts at these and passes over the batches that came after.

    Not a torch DataLoader, so that Lightning leaves it alone: the stream has dealt the items to the processes already.

    Args:
        processed: how many batches the loop has trained on so far; see `TrainLoader`.
        gather: tells the other processes numbers, and returns those of all of them, a process a row.
    """

    def __init__(
        self,
        stream: Stream,
        processed: Callable[[], int],
        gather: Callable[[Sequence[int]], Tensor],
        *,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        self._stream = stream
        self._processed, self._gather = processed, gather
        self._num_workers, self._pin_memory = num_workers, pin_memory
        self._batches: Iterator[Any] | None = None
        self._start, self._skipped = Place(), 0
        self._loaded: dict[str, Any] = {}
        # How many batches had been handed out when the processes told their places: the last two times, as a batch
        # that is handed out may not be trained on yet.
        self._told: deque[tuple[int, Tensor]] = deque(maxlen=2)
        self._processed_before = 0
        self.seconds_waited = 0.0

    def __iter__(self) -> Iterator[Any]:
        # Nothing starts before the first batch is asked for: Lightning may call iter() before it restores a checkpoint.
        while True:
            started = time.perf_counter()
            if self._batches is None:
                self._processed_before = self._processed()
                self._batches = self._make()
            batch = next(self._batches)
            self.seconds_waited += time.perf_counter() - started
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Where a resumed run goes on; the same on every process."""
        if not self._told:
            return self._loaded
        trained = self._processed() - self._processed_before
        told_at, places = next(told for told in reversed(self._told) if told[0] <= trained)
        return {"places": places.tolist(), "batches": trained - told_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self._batches is None, "the place is set before the first batch"
        self._loaded = state_dict
        if state_dict:
            _, *place, skipped = next(row for row in state_dict["places"] if row[0] == self._stream.rank)
            self._start, self._skipped = Place(*place), skipped + state_dict["batches"]

    def close(self) -> None:
        """End the worker processes now: left to the garbage collector, each would be waited for in vain."""
        state = self.state_dict()
        self._batches = None
        self._told.clear()
        self.load_state_dict(state)

    def _make(self) -> Iterator[Any]:
        handed_out, skipped = 0, self._skipped
        for buffer in self._buffers():
            for number, packed in enumerate(buffer.batches):
                if skipped:
                    skipped -= 1
                    continue
                if handed_out % _EXCHANGE_EVERY == 0:
                    self._told.append((handed_out, self._gather([self._stream.rank, *buffer.place, number])))
                handed_out += 1
                batch = unpack(packed)
                yield batch.pin_memory() if self._pin_memory else batch

    def _buffers(self) -> Iterator[MadeBuffer]:
        """Raises UserError for what a worker process came upon, and where a whole epoch makes no batch."""
        with _one_thread_a_worker(self._num_workers):
            buffers = iter(MadeBuffers(self._stream, self._start).loader(self._num_workers))
        # The last epoch that had a batch: a run that is resumed in the middle of one has trained on some.
        last_epoch = self._start.epoch if self._start.number else self._start.epoch - 1
        for buffer in buffers:
            if isinstance(buffer, UserError):
                raise buffer
            if buffer.batches:
                last_epoch = buffer.place.epoch
            elif buffer.place.epoch > last_epoch + 1:
                raise UserError(self._stream.streamed.no_batch())
            yield buffer


@contextmanager
def _one_thread_a_worker(num_workers: int) -> Iterator[None]:
    """Worker processes that start now tokenise in one thread each; this process tokenises as before."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    if num_workers:
        os.environ[name] = "false"
    yield
    if before is not None:
        os.environ[name] = before
    elif num_workers:
        del os.environ[name]
