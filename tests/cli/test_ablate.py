"""`llm2comp ablate` with real runs of a tiny model; the running of runs itself is tested in tests/sweeps."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from llm2comp.cli import main
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.sweeps.sweep import Sweep
from tests.cli.conftest import ROOT, Arguments

RUNS = Path("lightning_logs") / "ablation_tiny"


@pytest.fixture
def sweep(arguments: Arguments, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two numbers of memory tokens, of a tiny model on a tiny text."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    words = arguments("--experiment", "ablation_tiny")
    at = words.index("--model.num_memory_tokens")
    content = {
        "name": "tiny",
        "description": "One memory token or two?",
        "method": "grid",
        "metric": {"name": "val/context_recovered", "goal": "maximize"},
        "parameters": {"model.num_memory_tokens": {"values": [1, 2]}, "seed_everything": {"values": [3]}},
        "command": ["llm2comp", *words[:at], *words[at + 2 :], "${args}"],
    }
    path = workplace / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_real_runs_killed_and_gone_on_with(
    sweep: Path, workplace: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    names = [f"num_memory_tokens={count},seed_everything=3" for count in (1, 2)]
    options = ["--jobs", "2", "--", "--trainer.max_steps", "40"]
    command = [sys.executable, "-c", "from llm2comp.cli import main; main()", "ablate", str(sweep), *options]
    runner = subprocess.Popen(command, cwd=workplace, env={**environment, "CUDA_VISIBLE_DEVICES": ""})
    checkpoint = RUNS / names[0] / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.is_file():
        assert time.monotonic() < deadline
        assert runner.poll() is None
        time.sleep(0.02)
    runner.send_signal(signal.SIGKILL)
    runner.wait()

    main(["ablate", str(sweep), *options])
    assert "All 2 runs are finished: lightning_logs/ablation_tiny" in capsys.readouterr().err
    loaded = Sweep.load(RUNS / "sweep.yaml")
    for name, setting in zip(names, loaded.settings, strict=True):
        steps = [step for step, _ in read_metrics(RUNS / name / "metrics.csv")["train/loss"]]
        assert steps == list(range(40))
        assert loaded.setting_of(yaml.safe_load((RUNS / name / "config.yaml").read_text())) == setting
        assert json.loads((RUNS / name / "results.json").read_text())["training"]["steps"] == 40
    assert "--ckpt_path last" in (RUNS / names[0] / "log.txt").read_text()

    before = {path: path.stat().st_mtime_ns for path in RUNS.rglob("*")}
    main(["ablate", str(sweep), *options])
    after = {path: path.stat().st_mtime_ns for path in RUNS.rglob("*")}
    assert {path.name for path in after if after[path] != before.get(path)} <= {"sweep.yaml"}


def test_other_options_than_it_was_begun_with_are_refused(sweep: Path, refused: Callable[[list[str]], str]):
    (RUNS / "a").mkdir(parents=True)
    (RUNS / "a" / "config.yaml").touch()
    (RUNS / "sweep.yaml").write_text(Sweep.load(sweep).to_yaml())
    message = refused(["ablate", str(sweep), "--", "--trainer.max_steps", "2"])
    assert message.startswith("lightning_logs/ablation_tiny was begun with other options:")
    assert "--trainer.max_steps 2" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--", "--model.num_memory_tokens=3"], "the sweep 'tiny' varies model.num_memory_tokens"),
        (["--jobs", "0"], "--jobs must be auto or a number of runs at once, not '0'"),
        (["--jobs", "many"], "--jobs must be auto or a number of runs at once, not 'many'"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_refused(
    sweep: Path, refused: Callable[[list[str]], str], given: list[str], message: str
):
    assert message in refused(["ablate", str(sweep), *given])
    assert not RUNS.exists()


def test_sweeps_are_named_from_the_root_of_the_repository(
    refused: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch
):
    assert "start in the root of the repository" in refused(["ablate", "objective"])
    monkeypatch.chdir(ROOT)
    assert refused(["ablate", "objectiv"]) == "unknown sweep 'objectiv'; did you mean 'objective'?"
