"""Buffers of a stream as batches, made in worker processes."""

import copyreg
import io
import pickle
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from llm2comp.data.streaming.stream import Buffer, Place, Stream
from llm2comp.errors import UserError


class MadeBuffer(NamedTuple):
    """The batches of a buffer, packed, and the place it began at."""

    place: Place
    batches: list[bytes]


class MadeBuffers(Dataset):
    """Number n is the buffer n places after the start. Each worker process reads the stream for itself, and tokenises
    the buffers it is asked for; so their order hangs neither on how many workers there are nor on their speed."""

    def __init__(self, stream: Stream, start: Place) -> None:
        self.stream, self.start = stream, start
        self._buffers: Iterator[Buffer] | None = None
        self._read = 0

    def __getitem__(self, number: int) -> MadeBuffer | UserError:
        """An error of the user's is handed over as it is: raised in a worker, it would become a traceback."""
        try:
            place, items = self._skip_to(number)
            return MadeBuffer(place, [pack(batch) for batch in self.stream.streamed.batches(items, place.epoch)])
        except UserError as error:
            return error

    def loader(self, num_workers: int) -> DataLoader:
        """All buffers in order, as many made ahead as there are workers."""
        return DataLoader(
            self,
            batch_size=None,
            sampler=count(),
            num_workers=num_workers,
            prefetch_factor=1 if num_workers else None,
            # With a generator of its own, starting the loader leaves the model's random numbers as they are.
            generator=torch.Generator(),
        )

    def _skip_to(self, number: int) -> Buffer:
        if self._buffers is None:
            self._buffers = self.stream.buffers(self.start)
        while True:
            buffer = next(self._buffers)
            self._read += 1
            if self._read > number:
                return buffer


class _Pickler(pickle.Pickler):
    dispatch_table = copyreg.dispatch_table | {Tensor: lambda tensor: (torch.from_numpy, (tensor.numpy(),))}


def pack(batch: Any) -> bytes:
    """A batch as bytes. Tensors of their own would each take a file descriptor on the way between processes."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(batch)
    return buffer.getvalue()


def unpack(packed: bytes) -> Any:
    return pickle.loads(packed)
