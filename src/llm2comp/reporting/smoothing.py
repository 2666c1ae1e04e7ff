"""Curves without the noise of single batches."""

import numpy as np


def smoothed(values: np.ndarray) -> np.ndarray:
    """The average of `values` [N] by a Gaussian about each point, a thirtieth of N wide: it does not lag."""
    width = max(1.0, len(values) / 30)
    reach = min(int(3 * width), (len(values) - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(values, kernel, mode="same") / np.convolve(np.ones_like(values), kernel, mode="same")
