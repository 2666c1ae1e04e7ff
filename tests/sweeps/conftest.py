"""A sweep of twelve runs of a command that is quick, and an ablation in a process of its own that can be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FAKE_FIT = Path(__file__).with_name("fake_fit.py")
ABLATE = "import sys; from llm2comp.cli.ablate import main; main(sys.argv[1:])"

WriteSweep = Callable[..., Path]
Ablate = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, no GPU, and a home folder that no path in use lies in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


@pytest.fixture
def write_sweep(workplace: Path) -> WriteSweep:
    """Write a sweep of 6 values and 2 seeds; what is given goes before, and None leaves a key out."""

    def write(name: str = "twelve", options: tuple[str, ...] = (), **changes: Any) -> Path:
        (workplace / "experiment.yaml").write_text("trainer: {max_steps: 8}\n")
        command = [sys.executable, str(FAKE_FIT), "--config", "experiment.yaml", "--experiment", f"ablation_{name}"]
        sweep = {
            "name": name,
            "description": "Which value is best?",
            "method": "grid",
            "metric": {"name": "val/loss", "goal": "minimize"},
            "parameters": {"seed_everything": {"values": [0, 1]}, "value": {"values": [1, 2, 4, 8, 16, 32]}},
            "command": [*command, *options, "${args}"],
        }
        content = {key: value for key, value in {**sweep, **changes}.items() if value is not None}
        path = workplace / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture
def ablate(workplace: Path) -> Iterator[Ablate]:
    """Start `llm2comp ablate` with these arguments in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", ABLATE, "ablate", *map(str, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        process = subprocess.Popen(
            command, cwd=workplace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Return when it has happened; fail if it does not in that time."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
