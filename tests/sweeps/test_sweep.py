"""Sweeps are read, expanded and handed on as W&B does it; what only its server can do is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from llm2comp.errors import UserError
from llm2comp.sweeps.metric import Metric
from llm2comp.sweeps.sweep import Sweep
from tests.sweeps.conftest import WriteSweep


def test_the_settings_are_all_combinations_and_the_last_parameter_changes_fastest(write_sweep: WriteSweep):
    parameters = {"seed_everything": {"values": [0, 1]}, "steps": {"value": 5}, "value": {"values": ["a", "b"]}}
    sweep = Sweep.load(write_sweep(parameters=parameters))
    assert (sweep.name, sweep.description) == ("twelve", "Which value is best?")
    assert sweep.metric == Metric("val/loss", "minimize")
    assert dict(sweep.parameters) == {"seed_everything": (0, 1), "value": ("a", "b")}
    assert dict(sweep.fixed) == {"steps": 5}
    assert sweep.experiment == "ablation_twelve"
    assert [tuple(setting.values()) for setting in sweep.settings] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


@pytest.mark.parametrize(
    "value",
    [1, 0.0001, 3e-05, True, "null", "text", [1, "two"], {"class_path": "a.B", "init_args": {"reverse": True}}],
    ids=str,
)
def test_options_are_written_as_the_agent_of_wandb_writes_them(write_sweep: WriteSweep, value: Any):
    parameters = {"model.fixed": {"value": value}, "model.varied": {"values": [value, "other"]}}
    sweep = Sweep.load(
        write_sweep(parameters=parameters, command=["fit", "--experiment", "ablation_twelve", "${args}"])
    )
    agent = create_sweep_command_args({"args": {key: {"value": value} for key in parameters}})["args"]
    assert sweep.arguments(sweep.settings[0]) == ["fit", "--experiment", "ablation_twelve", *agent]


def test_a_sweep_is_found_by_name_or_file(write_sweep: WriteSweep, workplace: Path):
    path = write_sweep()
    with pytest.raises(UserError, match="there is no experiments/sweeps"):
        Sweep.find("twelve")
    (workplace / "experiments" / "sweeps").mkdir(parents=True)
    path.rename(workplace / "experiments" / "sweeps" / "twelve.yaml")
    assert Sweep.find("twelve") == Sweep.find("experiments/sweeps/twelve.yaml")
    with pytest.raises(UserError, match="unknown sweep 'twelv'; did you mean 'twelve'"):
        Sweep.find("twelv")
    with pytest.raises(UserError, match=r"no sweep file twelve\.yaml"):
        Sweep.find("twelve.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "bayes"}, "only method: grid runs here, not 'bayes'; run it by W&B"),
        ({"method": "random"}, "only method: grid runs here.*wandb agent"),
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate, stopping runs early.*wandb agent"),
        ({"run_cap": 3}, "run_cap.*wandb agent"),
        ({"parameters": {"a": {"min": 0, "max": 1}}}, "parameter a has max.*wandb agent"),
        ({"parameters": {"a": {"values": [1], "probabilities": [1]}}}, "a has probabilities.*wandb agent"),
        ({"parameters": {"a": {"distribution": "normal"}}}, "a has distribution.*wandb agent"),
        ({"parameters": {"a": {"parameters": {"b": {"value": 1}}}}}, "a is nested; write its options with dots"),
        ({"parameters": {"a": {"values": [1, None]}}}, "parameter a: W&B hands a bare null on.*'null' in quotes"),
        ({"parameters": {"a": {"value": {"b": [None]}}}}, "bare null"),
        ({"parameters": {"a": {"values": [1, 1]}}}, "a has a value twice"),
        ({"parameters": {"a": {"values": ["x.Loss", "y.Loss"]}}}, "two of its runs would be called a=Loss"),
        ({"parameters": {"a": {"values": []}}}, "values must be a list of one or more"),
        ({"parameters": {"a": {"values": 1}}}, "values must be a list"),
        ({"parameters": {"a": 1}}, "parameter a must be"),
        ({"parameters": {"a": {"value": 1, "values": [1]}}}, "must have either values, a list, or value"),
        ({"parameters": {"a": {"value": 1}}}, "varies nothing"),
        ({"parameters": None}, "lacks 'parameters'"),
        ({"parameters": [1]}, "parameters must name the options"),
        ({"description": None}, "lacks 'description'"),
        ({"metric": {"name": "val/loss"}}, "metric must have a name and a goal"),
        ({"metric": {"name": "val/loss", "goal": "max"}}, "minimize or maximize"),
        ({"name": "a b"}, "names a folder"),
        ({"metrics": {}}, r"unknown key in .*'metrics'; did you mean 'metric'"),
        ({"command": "llm2comp fit"}, "command must be a list"),
        ({"command": ["fit", "--experiment", "ablation_twelve"]}, r"must have \$\{args\} once"),
        ({"command": ["${program}", "--experiment", "ablation_twelve", "${args}"]}, r"\$\{program\} in the command"),
        ({"command": ["fit", "${args}"]}, "--experiment, ablation_twelve"),
        ({"command": ["fit", "--experiment", "other", "${args}"]}, "--experiment, ablation_twelve"),
    ],
    ids=str,
)
def test_what_cannot_run_here_is_refused(write_sweep: WriteSweep, changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message) as refusal:
        Sweep.load(write_sweep(**changes))
    assert ".yaml" in str(refusal.value)


def test_a_file_that_is_no_sweep_is_refused(workplace: Path):
    (workplace / "a.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match=r"a\.yaml is not a sweep: it needs the keys name, description"):
        Sweep.load("a.yaml")
    (workplace / "b.yaml").write_text("a: [1\n")
    with pytest.raises(UserError, match=r"b\.yaml cannot be read as YAML"):
        Sweep.load("b.yaml")


def test_options_for_all_runs_go_before_what_is_varied_and_replace_what_is_fixed(write_sweep: WriteSweep):
    parameters = {"value": {"values": [1, 2]}, "steps": {"value": 8}, "pause": {"value": 1}}
    sweep = Sweep.load(write_sweep(parameters=parameters)).with_options(["--steps", "3", "--config", "other.yaml"])
    words = sweep.arguments({"value": 2})
    assert words[-6:] == ["--steps", "3", "--config", "other.yaml", "--pause=1", "--value=2"]
    assert words.count("--config") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.lora.rank=4"], "--model.lora.rank cannot be set for all runs: the sweep 'twelve' varies model.lora"),
        (["--model", "a.B"], "varies model.lora"),
        (["--model.init_args.lora", "null"], "varies model.lora"),
        (["--run", "a"], "--run is given to each run"),
        (["--root=a"], "--root is given to each run"),
        (["--experiment", "a"], "--experiment is given to each run"),
        (["--ckpt_path", "last"], "--ckpt_path is given to each run"),
    ],
    ids=str,
)
def test_options_that_would_undo_the_sweep_are_refused(write_sweep: WriteSweep, options: list[str], message: str):
    sweep = Sweep.load(write_sweep(parameters={"model.lora": {"values": [1, 2]}}))
    assert sweep.with_options(["--model.lora_scale=1"]) != sweep
    with pytest.raises(UserError, match=message):
        sweep.with_options(options)


def test_a_sweep_written_out_is_read_as_it_was(write_sweep: WriteSweep, workplace: Path):
    parameters = {
        "model.lora": {"values": [{"rank": 4}, "null"]},
        "lr": {"value": 1e-5},
        "on": {"values": [True, False]},
    }
    sweep = Sweep.load(write_sweep(parameters=parameters)).with_options(["--steps", "3"]).renamed("other")
    assert sweep.experiment == "ablation_other"
    (workplace / "copy.yaml").write_text(sweep.to_yaml())
    assert Sweep.load("copy.yaml") == sweep
    content = yaml.safe_load(sweep.to_yaml())
    assert (content["method"], content["program"]) == ("grid", content["command"][0])
    assert "ablation_twelve" not in sweep.to_yaml()
