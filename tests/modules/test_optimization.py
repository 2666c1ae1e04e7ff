"""The learning rate of every step, and what is refused."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from llm2comp.errors import UserError
from llm2comp.modules.optimization import Optimization


def rates(optimization: Optimization, total_steps: int) -> list[float]:
    """The learning rate that each step is taken with."""
    optimizer, schedule = optimization.build([Parameter(torch.zeros(1))], total_steps)
    seen = []
    for _ in range(total_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_it_rises_to_the_rate_over_the_warmup_and_falls_to_zero():
    optimization = Optimization(learning_rate=1.0, warmup=4)
    up = [1 / 5, 2 / 5, 3 / 5, 4 / 5]
    down = [1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert rates(optimization, 10) == pytest.approx(up + down)


def test_it_falls_to_the_final_rate():
    optimization = Optimization(learning_rate=1e-4, final_learning_rate=1e-5, warmup=2)
    expected = [1e-4 / 3, 2e-4 / 3, 1e-4, 1e-4 - 9e-5 / 3, 1e-4 - 2 * 9e-5 / 3]
    assert rates(optimization, 5) == pytest.approx(expected)
    assert optimization.factor(5, 5) * 1e-4 == pytest.approx(1e-5)
    assert optimization.factor(9, 5) * 1e-4 == pytest.approx(1e-5)  # beyond the end it stays there


@pytest.mark.parametrize(("warmup", "peak"), [(0.25, 5), (5, 5), (0, 0), (0.0, 0), (1, 1)])
def test_the_warmup_is_a_share_below_one_and_steps_from_one_on(warmup: float, peak: int):
    seen = rates(Optimization(learning_rate=1.0, warmup=warmup), 20)
    assert seen.index(1.0) == peak
    assert all(a < b for a, b in pairwise(seen[: peak + 1]))
    assert all(a > b for a, b in pairwise(seen[peak:]))


def test_no_step_is_taken_with_a_rate_of_zero():
    for warmup in (0, 0.1, 3, 50):
        assert min(rates(Optimization(warmup=warmup), 20)) > 0


def test_the_optimiser_has_the_weight_decay_and_the_parameters_it_was_given():
    parameter = Parameter(torch.ones(1))
    optimizer, _ = Optimization(weight_decay=0.3).build([parameter], 10)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 0.3
    assert group["params"] == [parameter]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": 1e-4, "final_learning_rate": 1e-3}, "final_learning_rate between 0 and it"),
        ({"final_learning_rate": -1.0}, "final_learning_rate between 0 and it"),
        ({"warmup": -1}, "warmup must be a share of all steps or a number"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
    ],
)
def test_values_that_make_no_sense_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        Optimization(**options)
