"""Values of a metric, their deviations and differences, as people read them."""

import statistics
from collections.abc import Sequence

from llm2comp.reporting.metric_names import Metric

MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"


def value(number: float, metric: Metric) -> str:
    """A value of the metric, with its scale and decimals and a typographic minus."""
    return ("" if number >= 0 or number != number else MINUS) + metric.show(abs(number))


def with_unit(number: float, metric: Metric) -> str:
    """A value of the metric with its unit."""
    return f"{value(number, metric)}{NBSP}{metric.unit}".rstrip()


def amount(number: float, metric: Metric) -> str:
    """A deviation or the size of a difference: two digits at least, since it may be smaller than what is shown."""
    scaled = abs(number * metric.scale)
    return metric.show(abs(number)) if scaled == 0 or scaled >= 10**-metric.decimals else f"{scaled:.2g}"


def signed(number: float, metric: Metric) -> str:
    """A difference, with its sign."""
    return ("+" if number >= 0 else MINUS) + amount(number, metric)


def difference_unit(metric: Metric) -> str:
    """The unit of differences: those of percentages are in points."""
    return "points" if metric.unit == "%" else metric.unit


def mean_and_deviation(samples: Sequence[float]) -> tuple[float | None, float | None]:
    """The mean, and the sample standard deviation of two values or more; None where there is none."""
    if not samples:
        return None, None
    return statistics.fmean(samples), statistics.stdev(samples) if len(samples) > 1 else None


def spread(samples: Sequence[float], metric: Metric) -> str:
    """The mean, its deviation where there is one, and the unit; nothing of no samples."""
    mean, deviation = mean_and_deviation(samples)
    if mean is None:
        return ""
    scatter = "" if deviation is None else f"{NBSP}±{NBSP}{amount(deviation, metric)}"
    return f"{value(mean, metric)}{scatter}{NBSP}{metric.unit}".rstrip()
