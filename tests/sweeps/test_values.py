"""A run's setting is read from its configuration."""

from typing import Any

import pytest

from llm2comp.sweeps.sweep import Sweep
from llm2comp.sweeps.values import chosen, configured
from tests.sweeps.conftest import WriteSweep

DISTILLATION = {"class_path": "llm2comp.objectives.Distillation", "init_args": {"temperature": 1.0, "reverse": True}}
CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "model": {
        "class_path": "llm2comp.modules.EncoderTraining",
        "init_args": {"objective": DISTILLATION, "lora": None, "optimization": {"learning_rate": 1e-05}},
    },
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed_everything", 1),
        ("model.lora", None),
        ("model.init_args.lora", None),
        ("model.objective.reverse", True),
        ("model.objective.init_args.reverse", True),
        ("model.objective.class_path", "llm2comp.objectives.Distillation"),
        ("model.optimization.learning_rate", 1e-05),
    ],
)
def test_an_option_is_found_as_the_command_line_finds_it(key: str, value: Any):
    assert configured(CONFIG, key) == value


@pytest.mark.parametrize("key", ["model.rank", "model.lora.rank", "seed_everything.a", "data"])
def test_an_option_that_is_not_there_is_not_found(key: str):
    with pytest.raises(KeyError, match=key):
        configured(CONFIG, key)


@pytest.mark.parametrize(
    ("values", "config_value", "value"),
    [
        ((1, 2), 2, 2),
        ((1.0, 2.0), 2, 2.0),
        ((False, True), True, True),
        ((0, False), False, False),
        ((0, False), 0, 0),
        (("null", 4), None, "null"),
        (({"rank": 4}, {"rank": 16}, "null"), {"rank": 16, "alpha": 32.0}, {"rank": 16}),
        (("Distillation", "Continuation"), DISTILLATION, "Distillation"),
        (("llm2comp.objectives.Distillation",), DISTILLATION, "llm2comp.objectives.Distillation"),
        (("mean", "memory_mean"), "memory_mean", "memory_mean"),
    ],
)
def test_the_value_of_a_sweep_is_the_one_that_led_to_what_is_configured(
    values: tuple[Any, ...], config_value: Any, value: Any
):
    assert repr(chosen(values, config_value)) == repr(value)


def test_of_several_that_fit_the_one_that_says_most_is_meant():
    reverse = {"class_path": "Distillation", "init_args": {"reverse": True}}
    forward = {"class_path": "Distillation", "init_args": {"reverse": False}}
    for values in (("Distillation", reverse), (reverse, "Distillation"), ("Distillation", forward, reverse)):
        assert chosen(values, DISTILLATION) == reverse
    assert chosen(("Distillation", forward), DISTILLATION) == "Distillation"


@pytest.mark.parametrize("value", [3, True, "1", None, {"rank": 8}, {"lora": 4}, "Distillations"])
def test_a_value_of_another_sweep_fits_none(value: Any):
    with pytest.raises(KeyError):
        chosen((1, 2, {"rank": 4}, "Distillation"), value)


def test_the_setting_of_a_run(write_sweep: WriteSweep):
    parameters = {"seed_everything": {"values": [0, 1]}, "model.lora": {"values": ["null", {"rank": 4}]}}
    sweep = Sweep.load(write_sweep(parameters=parameters))
    assert sweep.setting_of(CONFIG) == {"seed_everything": 1, "model.lora": "null"}
    assert sweep.setting_of({**CONFIG, "seed_everything": 2}) is None
    assert sweep.setting_of({}) is None


def test_a_run_that_wrote_its_home_path_as_such_has_the_setting(write_sweep: WriteSweep):
    values = ["/home/ada/models/a", "/home/ada/models/b"]
    sweep = Sweep.load(write_sweep(parameters={"model.encoder": {"values": values}}))
    assert sweep.setting_of({"model": {"encoder": "~/models/b"}}) == {"model.encoder": values[1]}
