"""The interval is Games and Howell's: scipy's for all pairs, and Welch's for one."""

import numpy as np
import pytest
from scipy.stats import ttest_ind, tukey_hsd

from llm2comp.reporting.mean_difference import MeanDifference


@pytest.fixture
def samples() -> list[list[float]]:
    """Of different sizes, means and deviations."""
    generator = np.random.default_rng(0)
    return [generator.normal(mean, scale, n).tolist() for mean, scale, n in ((0, 1, 3), (2, 4, 4), (5, 0.5, 2))]


def test_all_pairs_together_are_as_scipy_has_them(samples: list[list[float]]):
    expected = tukey_hsd(*samples, equal_var=False).confidence_interval(0.95)
    for i, first in enumerate(samples):
        for j, second in enumerate(samples):
            if i != j:
                found = MeanDifference.games_howell(first, second, len(samples))
                assert found.value == pytest.approx(np.mean(first) - np.mean(second))
                assert (found.low, found.high) == pytest.approx((expected.low[i, j], expected.high[i, j]), rel=1e-4)


def test_of_two_settings_it_is_welchs(samples: list[list[float]]):
    first, second, _ = samples
    found = MeanDifference.games_howell(first, second, 2)
    expected = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_more_settings_make_it_wider():
    two, four = (MeanDifference.games_howell([1.0, 2.0, 3.0], [4.6, 5.6, 7.1], n) for n in (2, 4))
    assert two.exceeds_noise
    assert not four.exceeds_noise
    assert two.value == four.value


def test_a_difference_exceeds_the_noise_either_way_round():
    assert MeanDifference.games_howell([9.0, 9.1], [1.0, 1.1], 2).exceeds_noise
    assert MeanDifference.games_howell([1.0, 1.1], [9.0, 9.1], 2).exceeds_noise
    assert not MeanDifference.games_howell([1.0, 5.0], [2.0, 9.0], 2).exceeds_noise


def test_without_any_scatter_there_is_no_interval():
    same = MeanDifference.games_howell([1.0, 1.0], [2.0, 2.0], 2)
    assert (same.value, same.low, same.high) == (-1.0, None, None)
    assert not same.exceeds_noise
    assert MeanDifference.games_howell([1.0, 1.0], [2.0, 2.1], 2).low is not None
