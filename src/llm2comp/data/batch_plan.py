"""Which examples make up which batch."""

from collections.abc import Callable

import numpy as np

_GROUPED_AT_ONCE = 8192  # examples sorted by length together; more pad less, fewer mix better


class BatchPlan:
    """The batches of every epoch, from seed and epoch alone.

    `batch_size`: that many examples a batch in random order; the last batch of an epoch may be smaller.
    `token_budget`: examples of like lengths, as many as keep the padded batch (rows times the longest, summed over
    the parts that are padded apart) within the budget, batches in random order.

    Process `rank` of `world_size` gets every `world_size`-th batch. Where batches of a token budget do not divide, the
    epoch's first ones are repeated at its end, so that every process has the same number; of a batch size, the
    processes share what is left evenly.

    Args:
        examples: [N] the examples to plan with.
        sizes: tokens of each part of the examples [n] in an epoch, [n, parts].
        shuffle: whether batches and, without a token budget, examples are put in random order.
    """

    def __init__(
        self,
        examples: np.ndarray,
        sizes: Callable[[np.ndarray, int], np.ndarray],
        *,
        batch_size: int | None = None,
        token_budget: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
    ) -> None:
        assert (batch_size is None) != (token_budget is None)
        self.examples, self.sizes = examples, sizes
        self.batch_size, self.token_budget = batch_size, token_budget
        self.seed, self.rank, self.world_size, self.shuffle = seed, rank, world_size, shuffle
        self._planned: tuple[int, list[np.ndarray]] = (-1, [])
        self._counts: dict[int, int] = {}

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The examples of each batch of this process."""
        if self._planned[0] != epoch:
            everyone = self._plan(epoch)
            count = -(-len(everyone) // self.world_size)
            mine = [everyone[(i * self.world_size + self.rank) % len(everyone)] for i in range(count)]
            self._planned, self._counts[epoch] = (epoch, mine), count
        return self._planned[1]

    @property
    def batches_at_once(self) -> int:
        """How many batches a step takes of a batch size or token budget: of a batch size, each process has a share."""
        return 1 if self.token_budget is None else self.world_size

    def count(self, epoch: int) -> int:
        """The batches of this process, the same for all processes."""
        if epoch not in self._counts:
            self.batches(epoch)
        return self._counts[epoch]

    def _plan(self, epoch: int) -> list[np.ndarray]:
        random = np.random.default_rng([self.seed, epoch])
        examples = random.permutation(self.examples) if self.shuffle else self.examples
        if self.batch_size is not None:
            at_once = self.batch_size * self.world_size
            steps = (examples[start : start + at_once] for start in range(0, len(examples), at_once))
            return [share for step in steps for share in self._shares(step)]
        sizes = self.sizes(examples, epoch)
        batches: list[np.ndarray] = []
        for start in range(0, len(examples), _GROUPED_AT_ONCE):
            some = slice(start, start + _GROUPED_AT_ONCE)
            batches += self._cut(examples[some], sizes[some])
        return [batches[i] for i in random.permutation(len(batches))] if self.shuffle else batches

    def _shares(self, examples: np.ndarray) -> list[np.ndarray]:
        """What each process has of a step; of one with fewer examples than processes, some have the same."""
        return np.array_split(np.resize(examples, max(len(examples), self.world_size)), self.world_size)

    def _cut(self, examples: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
        assert self.token_budget is not None
        order = group(sizes, num_groups=sizes.sum() / self.token_budget)
        examples, rows = examples[order], sizes[order].tolist()
        batches, start, longest = [], 0, rows[0]
        for i, row in enumerate(rows):
            grown = [max(pair) for pair in zip(longest, row, strict=True)]
            if (i + 1 - start) * sum(grown) > self.token_budget and i > start:
                batches.append(examples[start:i])
                start, grown = i, row
            longest = grown
        return [*batches, examples[start:]]


def group(sizes: np.ndarray, num_groups: float) -> np.ndarray:
    """An order in which neighbours, about `num_groups` groups of them, are alike in every part. `sizes`: [N, parts].

    The rows are sorted by the first part and cut into strips, each of which is sorted by the parts that follow, every
    second one backwards so that the end of one strip is like the start of the next.
    """
    order = np.argsort(sizes[:, 0], kind="stable")
    if sizes.shape[1] == 1:
        return order
    num_strips = max(1, round(num_groups ** (1 / sizes.shape[1])))
    strips = [strip[group(sizes[strip, 1:], num_groups / num_strips)] for strip in np.array_split(order, num_strips)]
    return np.concatenate([strip[::-1] if i % 2 else strip for i, strip in enumerate(strips)])
