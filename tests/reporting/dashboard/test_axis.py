"""The axis follows how the values grow."""

from typing import Any

import pytest

from llm2comp.reporting.dashboard.axis import axis_kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 4, 8, 16], "log"),
        ([16, 1, 4], "log"),
        ([1e-5, 1e-4, 1e-3], "log"),
        ([1e-4, 3e-4, 1e-3, 3e-3], "log"),
        ([1, 2, 3, 4], "linear"),
        ([0.1, 0.2, 0.3], "linear"),
        ([0, 10, 20], "linear"),
        ([-1, 0, 1], "linear"),
        ([0, 1, 2, 4, 8], "category"),  # 0 has no logarithm
        ([1, 100], "category"),
        ([4, 16, "none"], "category"),
        (["causal", "bidirectional"], "category"),
        ([False, True], "category"),
    ],
)
def test_axis(values: list[Any], kind: str):
    assert axis_kind(values) == kind
