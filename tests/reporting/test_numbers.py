"""Numbers read as their metric has them, and a small deviation is not rounded away."""

import math

from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.numbers import (
    MINUS,
    amount,
    difference_unit,
    mean_and_deviation,
    signed,
    spread,
    value,
    with_unit,
)

PERCENT = metric("val/context_recovered")  # a share, in percent with one decimal
LOSS = metric("val/loss")  # nats, three decimals


def test_values_and_differences_have_a_typographic_minus():
    assert value(-2.861, PERCENT) == f"{MINUS}286.1"
    assert with_unit(0.319, PERCENT) == "31.9\N{NO-BREAK SPACE}%"
    assert (signed(0.012, PERCENT), signed(-0.012, PERCENT)) == ("+1.2", f"{MINUS}1.2")
    assert value(math.nan, LOSS) == "nan"


def test_a_small_amount_keeps_two_digits():
    assert [amount(x, PERCENT) for x in (0.0, 0.00042, -0.00042, 0.012)] == ["0.0", "0.042", "0.042", "1.2"]
    assert amount(3.6e-4, LOSS) == "0.00036"


def test_differences_of_percentages_are_in_points():
    assert (difference_unit(PERCENT), difference_unit(LOSS)) == ("points", "nats")


def test_the_deviation_is_that_of_a_sample():
    assert mean_and_deviation([1.0, 2.0, 3.0]) == (2.0, 1.0)
    assert mean_and_deviation([4.0]) == (4.0, None)
    assert mean_and_deviation([]) == (None, None)
    assert spread([0.3, 0.32], PERCENT).replace("\N{NO-BREAK SPACE}", " ") == "31.0 ± 1.4 %"
    assert spread([], PERCENT) == ""
