"""Parameters and values are called by what tells them apart."""

from typing import Any

import pytest

from llm2comp.reporting.dashboard.parameter import parameters, setting_label, value_text


def names(*keys: str) -> list[str]:
    return [parameter.name for parameter in parameters({key: (1, 2) for key in keys})]


def test_names_are_as_short_as_they_can_be():
    assert names("model.init_args.num_memory_tokens") == ["num_memory_tokens"]
    assert names("model.init_args.lora.rank", "data.seed") == ["rank", "seed"]
    assert names("a.first.rate", "a.second.rate") == ["first.rate", "second.rate"]
    assert names("rate", "a.rate") == ["rate", "a.rate"]
    assert names("model.objective.class_path") == ["objective"]


def test_the_seed_and_what_has_one_value_make_no_setting():
    assert parameters({"seed_everything": (0, 1), "data.max_tokens": (192,)}) == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8, "8"),
        (1e-05, "1e-05"),
        (0.001, "0.001"),
        (1.0, "1"),
        (True, "true"),
        (None, "none"),
        ("null", "none"),
        ("causal", "causal"),
        ("llm2comp.objectives.Distillation", "Distillation"),
        ("Distillation", "Distillation"),
        ("path/to/a.model", "path/to/a.model"),
        ({"class_path": "llm2comp.objectives.Distillation"}, "Distillation"),
        ({"class_path": "a.Distillation", "init_args": {"reverse": True}}, "Distillation (reverse true)"),
        ({"rank": 4, "alpha": 8.0}, "rank 4, alpha 8"),
        (["STS17", "SciFact"], "STS17, SciFact"),
    ],
)
def test_values(value: Any, text: str):
    assert value_text(value) == text


def test_labels_name_the_parameters_where_there_are_several():
    one, two = parameters({"model.rank": (4, 16)}), parameters({"model.rank": (4, 16), "data.seed": (0, 1)})
    assert setting_label(one, ["4"]) == "4"
    assert setting_label(two, ["4", "0"]) == "rank 4, seed 0"
    assert setting_label((), []) == "all runs"
