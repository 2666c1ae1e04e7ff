"""How the values of a swept parameter lie on an axis."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

AxisKind = Literal["linear", "log", "category"]


def axis_kind(values: Sequence[Any]) -> AxisKind:
    """`log` for positive numbers that grow by factors, as powers of two and of ten do, else `linear`.

    They grow by factors where their logarithms are spaced more evenly than they are themselves. `category` is for names
    and switches, for fewer than three numbers, and for numbers that grow by factors from 0 on, which has no logarithm.
    """
    numbers = sorted({float(value) for value in values if is_number(value)})
    if len(numbers) < len(values) or len(numbers) < 3:
        return "category"
    positive = [number for number in numbers if number > 0]
    by_factors = _unevenness([math.log(number) for number in positive]) < _unevenness(positive)
    if not by_factors or numbers[0] < 0:
        return "linear"
    return "log" if numbers[0] > 0 else "category"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _unevenness(places: Sequence[float]) -> float:
    """How much the gaps between neighbours differ: their largest by their smallest."""
    gaps = [after - before for before, after in pairwise(places)]
    return max(gaps) / min(gaps) if gaps else 1.0
