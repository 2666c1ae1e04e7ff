"""What a sweep compares its runs by."""

from dataclasses import dataclass
from typing import Literal

Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """A metric by its name in metrics.csv, and whether less or more of it is better."""

    name: str
    goal: Goal
