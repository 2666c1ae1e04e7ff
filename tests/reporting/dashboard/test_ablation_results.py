"""Runs are gathered by setting and seed: what counts, and what does not."""

import os
from pathlib import Path

import pytest

from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.sweeps.sweep import Sweep
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run, write_sweep

KEY = "model.init_args.num_memory_tokens"


def load(folder: Path) -> AblationResults:
    return AblationResults.load(folder.parent, Sweep.load(folder / "sweep.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return memory_tokens(tmp_path, {8: 0.3, 2: 0.2}, seeds=(0, 1, 2))


def test_settings_come_in_the_order_of_the_sweep_and_runs_by_seed(folder: Path):
    ablation = load(folder)
    assert [(setting.label, setting.values) for setting in ablation.settings] == [("8", (8,)), ("2", (2,))]
    assert [[run.seed for run in setting.runs] for setting in ablation.settings] == [[0, 1, 2]] * 2
    assert [parameter.name for parameter in ablation.parameters] == ["num_memory_tokens"]
    assert ablation.settings[1].samples("val/context_recovered") == pytest.approx([0.192, 0.2024, 0.2056])
    assert ablation.settings[1].samples("val/unknown") == []
    assert not ablation.repeated
    assert not ablation.strangers


def test_a_run_without_results_is_an_attempt_and_does_not_count(folder: Path):
    (folder / "num_memory_tokens=8,seed=1" / "results.json").unlink()
    ablation = load(folder)
    assert [len(setting.runs) for setting in ablation.settings] == [2, 3]
    assert [len(attempt.runs) for attempt in ablation.attempts] == [3, 3]
    assert len(ablation.runs) == 6


def test_of_two_runs_of_a_setting_and_seed_the_later_counts(folder: Path):
    write_run(folder / "again", {KEY: 8, "seed_everything": 0}, numbers(0.9))
    for path in (folder / "again").iterdir():
        os.utime(path, (1, 1))
    assert [run.name for run in load(folder).repeated] == ["again"]
    for path in (folder / "num_memory_tokens=8,seed=0").iterdir():
        os.utime(path, (0, 0))
    ablation = load(folder)
    assert [run.name for run in ablation.repeated] == ["num_memory_tokens=8,seed=0"]
    assert max(ablation.settings[0].samples("val/context_recovered")) == 0.9


def test_a_run_with_values_that_the_sweep_does_not_have_is_a_stranger(folder: Path):
    write_run(folder / "other", {KEY: 32, "seed_everything": 0}, numbers(0.9))
    ablation = load(folder)
    assert [run.name for run in ablation.strangers] == ["other"]
    assert [setting.label for setting in ablation.settings] == ["8", "2"]


def test_settings_of_two_parameters_name_both(tmp_path: Path):
    values = {"model.objective.reverse": [False, True], "model.objective.temperature": [1.0, 2.0]}
    folder = write_sweep(tmp_path, "kl", "Which?", ("val/loss", "minimize"), values)
    keys = [f"model.init_args.objective.init_args.{name}" for name in ("reverse", "temperature")]
    write_run(folder / "a", dict(zip(keys, (True, 2.0), strict=True)), numbers(0.3))
    (setting,) = load(folder).settings
    assert (setting.label, setting.texts) == ("reverse true, temperature 2", ("true", "2"))


def test_classes_and_what_they_are_made_with_are_settings(tmp_path: Path):
    kl = "llm2comp.objectives.Distillation"
    values = {"model.objective": [kl, {"class_path": kl, "init_args": {"reverse": True}}, "llm2comp.objectives.MNTP"]}
    folder = write_sweep(tmp_path, "objective", "Which?", ("val/loss", "minimize"), values)
    write_run(folder / "a", {"model.init_args.objective.init_args.reverse": True}, numbers(0.3))
    write_run(folder / "b", {}, numbers(0.3))
    write_run(folder / "c", {"model.init_args.objective": "llm2comp.objectives.MNTP"}, numbers(0.3))
    settings = {setting.label: [run.name for run in setting.runs] for setting in load(folder).settings}
    assert settings == {"Distillation": ["b"], "Distillation (reverse true)": ["a"], "MNTP": ["c"]}


def test_a_sweep_of_seeds_alone_is_one_setting(tmp_path: Path):
    folder = write_sweep(tmp_path, "seeds", "How noisy?", ("val/loss", "minimize"), {"seed_everything": [0, 1]})
    for seed in (0, 1):
        write_run(folder / str(seed), {"seed_everything": seed}, numbers(0.3))
    (setting,) = load(folder).settings
    assert (setting.label, len(setting.runs)) == ("all runs", 2)
