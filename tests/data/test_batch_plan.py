"""Batches: every example once, within the budget, the same for the same seed and epoch, dealt without overlap."""

from typing import Any

import numpy as np
import pytest

from llm2comp.data.batch_plan import BatchPlan, group

EXAMPLES = np.arange(1000, 2000)


def sizes(examples: np.ndarray, epoch: int) -> np.ndarray:
    """Two parts of up to 200 tokens, other ones in every epoch."""
    return np.random.default_rng(epoch).integers(10, 200, (2000, 2))[examples]


def plan(**options: Any) -> BatchPlan:
    return BatchPlan(EXAMPLES, sizes, **options)


def padded(batch: np.ndarray, epoch: int) -> int:
    return len(batch) * sizes(batch, epoch).max(axis=0).sum()


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"token_budget": 2048}])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_example_is_in_one_batch_of_an_epoch(options: dict[str, int], shuffle: bool) -> None:
    for epoch in (0, 1, 5):
        batches = plan(**options, shuffle=shuffle).batches(epoch)
        assert sorted(np.concatenate(batches)) == EXAMPLES.tolist()


def test_a_batch_has_the_size_asked_for() -> None:
    assert [len(batch) for batch in plan(batch_size=300).batches(0)] == [300, 300, 300, 100]


def test_no_batch_is_over_the_budget_and_few_tokens_are_padding() -> None:
    batches = plan(token_budget=2048).batches(3)
    assert max(padded(batch, 3) for batch in batches) <= 2048
    total = sizes(EXAMPLES, 3).sum()
    assert total / sum(padded(batch, 3) for batch in batches) > 0.85
    at_random = plan(batch_size=len(EXAMPLES) // len(batches)).batches(3)
    assert total / sum(padded(batch, 3) for batch in at_random) < 0.65


def test_batches_come_from_seed_and_epoch_alone() -> None:
    used = plan(token_budget=2048, seed=4)
    used.batches(0), used.batches(9)
    fresh = plan(token_budget=2048, seed=4).batches(2)
    assert all(np.array_equal(a, b) for a, b in zip(used.batches(2), fresh, strict=True))


@pytest.mark.parametrize("options", [{"batch_size": 7}, {"token_budget": 2048}])
@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}])
def test_another_seed_or_epoch_gives_other_batches(options: dict[str, int], other: dict[str, int]) -> None:
    here = plan(**options).batches(0)[0]
    there = plan(**options, seed=other.get("seed", 0)).batches(other.get("epoch", 0))[0]
    assert set(here) != set(there)


@pytest.mark.parametrize("world_size", [2, 3, 7])
def test_processes_share_the_batches_and_each_gets_as_many(world_size: int) -> None:
    alone = plan(token_budget=2048).batches(1)
    dealt = [plan(token_budget=2048, rank=rank, world_size=world_size) for rank in range(world_size)]
    each = [process.batches(1) for process in dealt]
    assert (
        {len(batches) for batches in each} == {process.count(1) for process in dealt} == {-(-len(alone) // world_size)}
    )
    merged = [batch for step in zip(*each, strict=True) for batch in step]
    expected = alone + alone[: len(merged) - len(alone)]
    assert all(np.array_equal(a, b) for a, b in zip(merged, expected, strict=True))


def test_fewer_batches_than_processes_are_repeated() -> None:
    small = [BatchPlan(EXAMPLES[:2], sizes, batch_size=1, rank=rank, world_size=5) for rank in range(5)]
    assert [process.batches(0)[0].tolist() for process in small].count(small[0].batches(0)[0].tolist()) == 3


def test_one_part_is_sorted_by_length() -> None:
    lengths = np.array([[5], [2], [9], [2]])
    assert group(lengths, num_groups=2).tolist() == [1, 3, 0, 2]


def test_without_shuffling_the_batches_are_in_order() -> None:
    assert np.concatenate(plan(batch_size=7, shuffle=False).batches(0)).tolist() == EXAMPLES.tolist()


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_processes_share_the_batches_of_one_process(world_size: int) -> None:
    examples = EXAMPLES[: 30 * 4 + 7]
    alone = BatchPlan(examples, sizes, batch_size=30).batches(1)
    each = [
        BatchPlan(examples, sizes, batch_size=30 // world_size, rank=rank, world_size=world_size).batches(1)
        for rank in range(world_size)
    ]
    steps = [np.concatenate(shares) for shares in zip(*each, strict=True)]
    assert all(np.array_equal(step, batch) for step, batch in zip(steps, alone, strict=True))
    assert {len(shares[-1]) for shares in each} <= {7 // world_size, 7 // world_size + 1}
