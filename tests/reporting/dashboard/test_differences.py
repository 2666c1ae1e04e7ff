"""What differs between runs is found, and whether the sweep means it to."""

from typing import Any

from llm2comp.reporting.dashboard.differences import differences
from llm2comp.reporting.dashboard.options import flatten
from tests.reporting.dashboard.synthetic import configured


def found(swept: list[str], **runs: dict[str, Any]) -> dict[str, tuple[bool, dict[str, list[str]]]]:
    options = {name: flatten(configured(changes)) for name, changes in runs.items()}
    return {each.option: (each.is_swept, dict(each.runs)) for each in differences(options, swept)}


def test_runs_alike_do_not_differ_wherever_they_lie():
    assert found([], a={"run": "a", "root": "here"}, b={"run": "b", "ckpt_path": "last.ckpt"}) == {}


def test_the_sweeps_own_options_and_the_seed_are_meant_to_differ():
    key = "model.init_args.num_memory_tokens"
    changes = {"a": {key: 1, "seed_everything": 0}, "b": {key: 8, "seed_everything": 1}}
    expected = {"seed_everything": (True, {"0": ["a"], "1": ["b"]}), key: (True, {"1": ["a"], "8": ["b"]})}
    assert found([key], **changes) == expected
    assert found(["model.num_memory_tokens"], **changes) == expected  # as the command line takes it


def test_what_comes_with_a_swept_class_is_the_sweeps():
    key = "model.init_args.objective"
    changes = {"a": {}, "b": {key: "llm2comp.objectives.Reconstruction"}}
    differing = found(["model.objective"], **changes)
    assert set(differing) == {
        f"{key}.{of}" for of in ("class_path", "init_args", "init_args.temperature", "init_args.reverse")
    }
    assert all(is_swept for is_swept, _ in differing.values())
    assert differing[f"{key}.init_args.reverse"] == (True, {"false": ["a"], "absent": ["b"]})


def test_what_the_sweep_does_not_vary_comes_last_and_is_told():
    changes = {
        "a": {"data.max_tokens": 192, "trainer.max_steps": 1},
        "b": {"data.max_tokens": 256, "trainer.max_steps": 2},
    }
    differing = found(["data.max_tokens"], **changes)
    assert list(differing) == ["data.max_tokens", "trainer.max_steps"]
    assert differing["trainer.max_steps"] == (False, {"1": ["a"], "2": ["b"]})


def test_lists_are_compared_entry_by_entry():
    before, after = ({"callbacks": [{"class_path": "Probes", "init_args": {"sts_limit": n}}]} for n in (256, 500))
    (each,) = differences({"a": flatten(before), "b": flatten(after)}, [])
    assert each.option == "callbacks[0].init_args.sts_limit"
