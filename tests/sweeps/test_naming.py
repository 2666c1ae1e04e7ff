"""A run is called by its setting."""

import re
from typing import Any

import pytest

from llm2comp.sweeps.naming import LONGEST, run_name


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"seed_everything": 0, "model.num_memory_tokens": 8}, "seed_everything=0,num_memory_tokens=8"),
        ({"model.optimization.learning_rate": 1e-05}, "learning_rate=1e-05"),
        ({"model.lora": {"rank": 4, "alpha": 8}}, "lora=rank=4+alpha=8"),
        ({"model.lora": "null"}, "lora=null"),
        ({"model.objective": "llm2comp.objectives.MNTP"}, "objective=MNTP"),
        (
            {"model.objective": {"class_path": "llm2comp.objectives.Distillation", "init_args": {"reverse": True}}},
            "objective=Distillation+reverse=True",
        ),
        ({"a.size": 1, "b.size": 2}, "a.size=1,b.size=2"),
    ],
)
def test_the_name_says_the_setting(setting: dict[str, Any], name: str):
    assert run_name(setting) == name


def test_what_a_folder_cannot_be_called_is_told_apart_by_a_digest():
    names = [run_name({"train": source}) for source in ("a/b c", "a/b  c", "a b/c", "x" * 200, "x" * 201)]
    assert len(set(names)) == 5
    for name in names:
        assert re.fullmatch(r"train=[\w.=,+-]+-[0-9a-f]{8}", name)
        assert len(name) <= LONGEST + 9


def test_a_home_path_is_not_in_the_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    names = [run_name({"model.encoder": f"/home/ada/models/{which}"}) for which in ("a", "b")]
    assert [name[:-9] for name in names] == ["encoder=-models-a", "encoder=-models-b"]
    assert names[0] == run_name({"model.encoder": "~/models/a"})
