"""The share of a process in a source, in buffers, from any place on."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np

from llm2comp.data.streaming.streamed import Streamed
from llm2comp.errors import UserError


class Place(NamedTuple):
    """A place in the source: item `item` of part `part`, in the epoch's order of the parts, and number `number` of
    all items of the epoch."""

    epoch: int = 0
    part: int = 0
    item: int = 0
    number: int = 0


class Buffer(NamedTuple):
    """Items that are shuffled and batched together, and the place of the first of them."""

    place: Place
    items: list[Any]


class Stream:
    """What one process trains on, epoch after epoch without end.

    The parts of the source (its files) come in an order drawn from seed and epoch, the items of a part as they stand
    in it. Item number i of an epoch goes to process i mod `world_size`, so that of each epoch every item goes to
    exactly one process, and none of them has more than one item more than another. Each process cuts its share into
    buffers of `buffer_size` items; the last of an epoch may be smaller.

    Everything follows from the source, the seed and the place to start from: neither from what was read before nor
    from which worker process reads.
    """

    def __init__(
        self, streamed: Streamed, buffer_size: int, *, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.streamed, self.buffer_size, self.seed = streamed, buffer_size, seed
        self.rank, self.world_size = rank, world_size

    def buffers(self, start: Place) -> Iterator[Buffer]:
        """Raises UserError where this process has no share: there are more processes than items."""
        for epoch in count(start.epoch):
            share = self._share(start if epoch == start.epoch else Place(epoch))
            buffer = list(islice(share, self.buffer_size))
            if not buffer:
                raise UserError(self.streamed.too_few(self.world_size))
            while buffer:
                yield Buffer(buffer[0][0], [item for _, item in buffer])
                buffer = list(islice(share, self.buffer_size))

    def _share(self, start: Place) -> Iterator[tuple[Place, Any]]:
        parts = self.streamed.source.parts()
        order = np.random.default_rng([self.seed, start.epoch]).permutation(len(parts))
        number = start.number
        for part in range(start.part, len(parts)):
            first = start.item if part == start.part else 0
            items = self.streamed.items(parts[order[part]])
            for item, value in enumerate(islice(items, first, None), start=first):
                if number % self.world_size == self.rank and self.streamed.keeps(value):
                    yield Place(start.epoch, part, item, number), value
                number += 1
