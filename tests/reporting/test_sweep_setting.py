"""A run of an ablation says which of its settings it is, in words that a dashboard can group and plot by."""

from pathlib import Path

import pytest
import yaml

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.sweep_setting import shown_setting, sweep_of, sweep_setting
from llm2comp.sweeps.sweep import Sweep

SWEEP = {
    "name": "kl",
    "description": "Which divergence?",
    "method": "grid",
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {
        "seed_everything": {"values": [0, 1]},
        "model.objective": {
            "values": [
                "llm2comp.objectives.Distillation",
                {"class_path": "llm2comp.objectives.Distillation", "init_args": {"reverse": True}},
            ]
        },
        "model.lora.rank": {"values": [4, 16]},
    },
    "command": ["llm2comp", "fit", "--experiment", "ablation_kl", "${args}"],
}


def config(seed: int, reverse: bool, rank: int) -> dict:
    objective = {"class_path": "llm2comp.objectives.Distillation", "init_args": {"reverse": reverse}}
    return {"seed_everything": seed, "model": {"init_args": {"objective": objective, "lora": {"rank": rank}}}}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run beside the copy of its sweep."""
    run = RunFolder(tmp_path, "ablation_kl", "first")
    run.path.mkdir(parents=True)
    (run.path.parent / "sweep.yaml").write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    return run


def test_a_run_knows_its_setting_by_its_configuration(run: RunFolder):
    found = sweep_setting(run, config(1, reverse=True, rank=16))
    assert found is not None
    assert found[1]["seed_everything"] == 1
    assert shown_setting(*found) == {
        "label": "objective Distillation (reverse true), rank 16",
        "objective": "Distillation (reverse true)",
        "rank": 16,
    }
    other = sweep_setting(run, config(1, reverse=False, rank=4))
    assert other is not None
    assert shown_setting(*other)["label"] == "objective Distillation, rank 4"


def test_the_value_alone_tells_settings_of_one_parameter(run: RunFolder):
    sweep = Sweep.load(run.path.parent / "sweep.yaml")
    one = Sweep(sweep.name, "", sweep.metric, {"model.lora.rank": (4, 16)}, {}, sweep.command)
    assert shown_setting(one, {"model.lora.rank": 4}) == {"label": "4", "rank": 4}
    seeds = Sweep(sweep.name, "", sweep.metric, {"seed_everything": (0, 1)}, {}, sweep.command)
    assert shown_setting(seeds, {"seed_everything": 0}) == {"label": "all runs"}


def test_where_there_is_no_copy_the_sweep_is_found_by_its_name(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments" / "sweeps").mkdir(parents=True)
    (run.path.parent / "sweep.yaml").rename(tmp_path / "experiments" / "sweeps" / "kl.yaml")
    sweep = sweep_of(run)
    assert sweep is not None
    assert sweep.name == "kl"


@pytest.mark.parametrize("experiment", ["pretrain_compress", "ablation_unknown", "ablation_kl"])
def test_a_run_of_no_sweep_has_no_setting(run: RunFolder, experiment: str):
    outside = RunFolder(run.root, experiment, "first")
    assert sweep_setting(outside, config(7, reverse=True, rank=4)) is None
