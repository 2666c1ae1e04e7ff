"""Which pairs make up which batch, each batch of one data set."""

from collections.abc import Sequence
from itertools import count
from typing import Literal

import numpy as np

from llm2comp.data.batch_plan import BatchPlan

Mixing = Literal["proportional", "temperature", "weights"]
MIN_PAIRS = 2  # one pair alone has nothing to be told apart from


class MixturePlan(BatchPlan):
    """The batches of every epoch, from seed and epoch alone.

    Each batch is of one data set, in random order, and so are the batches that the processes train on in the same
    step, whose texts are negatives of each other. Batches have `batch_size` pairs: what is left over at the end of a
    data set waits for the next epoch, which has another order. A data set smaller than a batch gives one batch of all
    its pairs, repeated for each process.

    An epoch has as many batches as the data sets together. With `shares` they are divided by these, at least one
    step for each: a data set that gets more batches than it has starts over in a new order, one that gets fewer gives
    a random part. Without, every data set is gone through once.

    Args:
        parts: the examples of each data set, at least `MIN_PAIRS`.
        shares: of the batches, for each data set, summing to 1.
    """

    def __init__(
        self,
        parts: Sequence[np.ndarray],
        batch_size: int,
        *,
        shares: np.ndarray | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        assert all(len(part) >= MIN_PAIRS for part in parts)
        super().__init__(
            np.concatenate(parts), _no_sizes, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size
        )
        self.parts = parts
        steps = np.array([len(self._steps(part)) for part in parts])
        self.steps = steps if shares is None else divide(int(steps.sum()), shares)  # of each data set in an epoch

    def _plan(self, epoch: int) -> list[np.ndarray]:
        steps = [step for number in range(len(self.parts)) for step in self._part_of_epoch(number, epoch)]
        order = np.random.default_rng([self.seed, epoch]).permutation(len(steps))
        return [batch for i in order for batch in steps[i]]

    def _part_of_epoch(self, number: int, epoch: int) -> list[list[np.ndarray]]:
        steps: list[list[np.ndarray]] = []
        for time in count():
            random = np.random.default_rng([self.seed, epoch, number, time])
            steps += self._steps(random.permutation(self.parts[number]))
            if len(steps) >= self.steps[number]:
                break
        return steps[: self.steps[number]]

    def _steps(self, examples: np.ndarray) -> list[list[np.ndarray]]:
        """A batch for each process, step by step."""
        assert self.batch_size is not None
        whole = len(examples) // self.batch_size
        batches = np.split(examples[: whole * self.batch_size], whole) if whole else [examples]
        if len(batches) < self.world_size:
            return [[batches[i % len(batches)] for i in range(self.world_size)]]
        firsts = range(0, len(batches) - self.world_size + 1, self.world_size)
        return [batches[first : first + self.world_size] for first in firsts]


class ValidationPlan(BatchPlan):
    """Every pair once, in order, each batch of one data set; one pair left over is joined to the batch before.

    `parts`: the examples of each data set, at least `MIN_PAIRS`.
    """

    def __init__(self, parts: Sequence[np.ndarray], batch_size: int, *, rank: int = 0, world_size: int = 1) -> None:
        examples = np.concatenate(parts)
        super().__init__(examples, _no_sizes, batch_size=batch_size, rank=rank, world_size=world_size, shuffle=False)
        self.parts = parts

    def _plan(self, epoch: int) -> list[np.ndarray]:
        assert self.batch_size is not None
        batches = []
        for part in self.parts:
            cuts = list(range(self.batch_size, len(part), self.batch_size))
            if cuts and len(part) - cuts[-1] < MIN_PAIRS:
                cuts.pop()
            batches += np.split(part, cuts)
        return batches


def mixing_shares(
    mixing: Mixing, temperature: float, sizes: Sequence[int], weights: Sequence[float]
) -> np.ndarray | None:
    """The share of each data set: sizes to the power of 1 / temperature, or the weights; None: as they are."""
    if mixing == "proportional":
        return None
    raw = np.array(weights, float) if mixing == "weights" else np.array(sizes, float) ** (1 / temperature)
    return raw / raw.sum()


def divide(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers near `total` times the shares, which sum to `total` where that leaves at least one for each."""
    exact = total * shares
    whole = np.floor(exact).astype(int)
    most_left = np.argsort(whole - exact, kind="stable")[: total - whole.sum()]
    whole[most_left] += 1
    return np.maximum(whole, 1)


def _no_sizes(examples: np.ndarray, epoch: int) -> np.ndarray:
    raise AssertionError("pairs are batched by number")
