"""Each step has one data set; shares are kept; the same seed and epoch give the same batches."""

from typing import Any

import numpy as np
import pytest

from llm2comp.data.pairs.mixture_plan import MixturePlan, ValidationPlan, divide, mixing_shares

PARTS = [np.arange(0, 103), np.arange(103, 126), np.arange(126, 132)]  # 103, 23 and 6 pairs


def plan(**options: Any) -> MixturePlan:
    return MixturePlan(PARTS, 10, **options)


def part_of(batch: np.ndarray) -> int:
    (number,) = {i for i, part in enumerate(PARTS) if np.isin(batch, part).any()}
    assert np.isin(batch, PARTS[number]).all()
    return number


def test_proportional_goes_through_every_data_set_once_but_for_what_is_left_over() -> None:
    for epoch in (0, 3):
        batches = plan().batches(epoch)
        parts = [part_of(batch) for batch in batches]
        assert [parts.count(number) for number in range(3)] == [10, 2, 1]
        assert sorted({len(batch) for batch in batches}) == [6, 10]
        seen = np.concatenate(batches)
        assert len(seen) == len(set(seen)) == 100 + 20 + 6
    assert parts != sorted(parts)


def test_what_is_left_over_comes_in_another_epoch() -> None:
    seen = {int(i) for epoch in range(20) for batch in plan().batches(epoch) for i in batch}
    assert seen == set(range(132))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("shares", [None, np.array([0.2, 0.3, 0.5])])
def test_the_processes_train_on_one_data_set_in_a_step(world_size: int, shares: np.ndarray | None) -> None:
    each = [plan(shares=shares, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({process.count(1) for process in each}) == 1
    for step in zip(*(process.batches(1) for process in each), strict=True):
        assert len({part_of(batch) for batch in step}) == 1
        if len(PARTS[part_of(step[0])]) >= 10 * world_size:
            assert len(set(np.concatenate(step))) == 10 * world_size


def test_shares_are_kept_and_a_small_data_set_starts_over() -> None:
    batches = plan(shares=np.array([0.25, 0.5, 0.25])).batches(0)
    parts = [part_of(batch) for batch in batches]
    assert [parts.count(number) for number in range(3)] == [3, 7, 3]
    passes = [set(batch) for batch in batches if part_of(batch) == 1]
    assert len({frozenset(batch) for batch in passes}) == 7  # in another order each time


def test_batches_come_from_seed_and_epoch_alone() -> None:
    used = plan(shares=np.array([0.2, 0.3, 0.5]), seed=4)
    used.batches(0), used.batches(9)
    fresh = plan(shares=np.array([0.2, 0.3, 0.5]), seed=4).batches(2)
    assert all(np.array_equal(a, b) for a, b in zip(used.batches(2), fresh, strict=True))
    for other in (plan(seed=5).batches(2), plan(seed=4).batches(3)):
        assert not all(np.array_equal(a, b) for a, b in zip(plan(seed=4).batches(2), other, strict=True))


def test_mixing() -> None:
    assert mixing_shares("proportional", 2.0, [400, 100], [1, 1]) is None
    assert mixing_shares("weights", 2.0, [400, 100], [1, 3]) == pytest.approx([0.25, 0.75])
    assert mixing_shares("temperature", 1.0, [400, 100], [1, 1]) == pytest.approx([0.8, 0.2])
    assert mixing_shares("temperature", 2.0, [400, 100], [1, 1]) == pytest.approx([2 / 3, 1 / 3])


def test_a_whole_is_divided_without_rest_and_each_gets_one() -> None:
    assert divide(10, np.array([0.55, 0.35, 0.1])).tolist() == [6, 3, 1]
    assert divide(10, np.array([0.99, 0.01])).tolist() == [10, 1]


def test_validation_has_every_pair_once_and_none_alone() -> None:
    parts = [np.arange(21), np.arange(21, 30), np.arange(30, 42)]
    batches = ValidationPlan(parts, 10).batches(0)
    assert [len(batch) for batch in batches] == [10, 11, 9, 10, 2]
    assert np.concatenate(batches).tolist() == list(range(42))
