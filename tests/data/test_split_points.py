"""Where a paragraph is cut hangs on seed, epoch and text alone."""

import numpy as np
import pytest

from llm2comp.data.split_points import split_points

HASHES = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)


def test_cuts_are_uniform_between_the_margins() -> None:
    cuts = split_points(np.full(20_000, 50), HASHES, seed=3, epoch=5)
    counts = np.bincount(cuts, minlength=50)
    assert not counts[:10].any()
    assert not counts[41:].any()
    expected = 20_000 / 31
    assert ((counts[10:41] - expected) ** 2 / expected).sum() < 60  # chi square, 30 degrees of freedom: p = 0.001


@pytest.mark.parametrize(("length", "cuts"), [(20, {10}), (21, {10, 11}), (23, {10, 11, 12, 13})])
def test_both_margins_are_reached_and_kept(length: int, cuts: set[int]) -> None:
    assert set(split_points(np.full(20_000, length), HASHES, seed=0, epoch=0)) == cuts


def test_a_cut_does_not_hang_on_order_or_company() -> None:
    lengths = np.random.default_rng(1).integers(20, 500, 20_000)
    cuts = split_points(lengths, HASHES, seed=1, epoch=2)
    order = np.random.default_rng(2).permutation(20_000)[:100]
    assert np.array_equal(split_points(lengths[order], HASHES[order], seed=1, epoch=2), cuts[order])


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (0, 1), (1, 1)])
def test_cuts_change_with_seed_and_epoch(seed: int, epoch: int) -> None:
    lengths = np.full(20_000, 10_000)
    here, there = split_points(lengths, HASHES, 0, 0), split_points(lengths, HASHES, seed, epoch)
    assert abs(np.corrcoef(here, there)[0, 1]) < 0.03


def test_cuts_are_the_same_on_every_machine() -> None:
    assert split_points(np.full(4, 1000), np.arange(4, dtype=np.uint64), 7, 11).tolist() == [101, 890, 819, 371]
