"""How far apart the means of two settings are, against what their runs scatter."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import studentized_range

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanDifference:
    """The difference of two means, first minus second, and the interval that it lies in with 95 percent confidence.

    `low` and `high` are None where neither sample scatters, so that there is no noise to compare with.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def exceeds_noise(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @classmethod
    def games_howell(cls, first: Sequence[float], second: Sequence[float], num_settings: int) -> "MeanDifference":
        """Games and Howell's interval (1976) of two of `num_settings` samples, of two values or more each.

        The intervals of all pairs hold together with 95 percent confidence, so which pair is looked at may be chosen by
        the numbers. Variances may differ. With two settings it is Welch's interval.
        """
        assert min(len(first), len(second)) > 1
        value = statistics.fmean(first) - statistics.fmean(second)
        errors = [statistics.variance(sample) / len(sample) for sample in (first, second)]  # squared standard errors
        if not any(errors):
            return cls(value, None, None)
        # Welch and Satterthwaite's degrees of freedom.
        degrees = sum(errors) ** 2 / sum(
            error**2 / (len(sample) - 1) for error, sample in zip(errors, (first, second), strict=True)
        )
        quantile = float(studentized_range.isf(1 - CONFIDENCE, num_settings, degrees))
        reach = quantile * math.sqrt(sum(errors) / 2)
        return cls(value, value - reach, value + reach)
