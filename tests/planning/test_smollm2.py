"""The 135M model, planned and run: `pytest -s` prints both figures."""

from typing import Any

import pytest

from llm2comp.backbone.loading import fast_dtype
from llm2comp.planning.plan import Plan
from tests.planning.examples import beyond_the_model, measured_step, planned

ROWS = 2
MIB = 2**20
CASES: dict[str, dict[str, Any]] = {
    # As this machine trains: without instructions for bfloat16 the model may be refused in it, for how it rounds.
    "adapters": {"dtype": fast_dtype(), "max_length": 128},
    "all weights": {"lora": None, "max_length": 64},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_step_of_the_135m_model_takes_what_is_planned(case: str):
    training = planned("embedded:smollm2-135m", k=8, batch_size=ROWS, **CASES[case])
    memory = Plan(training, 1, 2**40).peak("one device", ROWS)
    expected, measured = beyond_the_model(memory), measured_step(training, ROWS)
    model = sum(memory.values()) - expected
    print(f"\n{case}: model {model / MIB:.1f} MiB, step planned {expected / MIB:.1f}, measured {measured / MIB:.1f}")
    assert measured == pytest.approx(expected, rel=0.01)
