"""Smoothing against its definition."""

import numpy as np

from llm2comp.reporting.smoothing import smoothed


def test_it_is_the_average_by_a_gaussian():
    values = np.random.default_rng(0).normal(size=200)
    width = 200 / 30
    places = np.arange(200)
    expected = []
    for place in places:
        near = abs(places - place) <= int(3 * width)
        weights = np.exp(-0.5 * ((places[near] - place) / width) ** 2)
        expected.append((weights * values[near]).sum() / weights.sum())
    np.testing.assert_allclose(smoothed(values), expected, rtol=1e-12)


def test_a_constant_and_a_few_points_stay():
    np.testing.assert_allclose(smoothed(np.full(50, 3.0)), 3.0)
    np.testing.assert_allclose(smoothed(np.array([1.0, 5.0])), [1.0, 5.0])
