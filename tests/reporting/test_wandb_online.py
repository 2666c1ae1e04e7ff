"""What leaves the machine for W&B's server, and what happens to a run when it cannot."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.run_logger import RunLogger
from llm2comp.reporting.wandb import wandb_logger
from llm2comp.reporting.wandb_dashboards.saving import save_dashboards
from llm2comp.sweeps.sweep import Sweep
from tests.wandb_server import WandbServer

Logger = Callable[..., RunLogger]

SWEEPS = [Path(__file__).parents[2] / "experiments" / "sweeps" / f"{name}.yaml" for name in ("kl", "memory_tokens")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """A server that an account is set up for."""
    for name in list(os.environ):
        if name.startswith("WANDB_") or name in ("NETRC", "LLM2COMP_SWEEP"):
            monkeypatch.delenv(name)
    server = WandbServer()
    monkeypatch.setenv("HOME", str(tmp_path / "planted-home"))
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr("llm2comp.reporting.wandb.FINISH_TIMEOUT", 2)
    monkeypatch.chdir(tmp_path)
    wandb.teardown()  # what it has read of the environment, it keeps
    yield server
    wandb.finish()
    wandb.teardown()
    server.stop()


@pytest.fixture
def logger(tmp_path: Path) -> Logger:
    run = RunFolder(tmp_path / "planted-home" / "logs", "ablation_memory", "first")
    return lambda config=None: wandb_logger(run, config or {"lr": 0.1}, job_type="Distillation")


def sent(server: WandbServer) -> dict[str, Any]:
    """The run as the server was told of it first."""
    return server.asked("UpsertBucket")[0]


def test_a_run_says_what_it_is_and_nothing_private(
    server: WandbServer, logger: Logger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LLM2COMP_SWEEP", "memory")
    monkeypatch.setattr("sys.argv", [str(Path.home() / "planted-program.py"), "--token=planted"])
    run = logger({"encoder": str(Path.home() / "tiny"), "hub": {"token": "planted"}})
    run.log_metrics({"train/loss": 1.5}, step=3)
    run.experiment.finish()
    told = sent(server)
    expected = {"groupName": "ablation_memory", "jobType": "Distillation", "tags": ["memory"], "displayName": "first"}
    assert expected.items() <= told.items()
    config = json.loads(told["config"])
    assert config["encoder"]["value"] == "~/tiny"
    assert config["environment"]["value"]["packages"]["wandb"] == wandb.__version__
    assert any(b"train/loss" in body for _, body in server.requests)
    for path, body in server.requests:
        assert b"planted" not in body, path


def test_under_the_agent_the_run_is_that_of_the_sweep(
    server: WandbServer, logger: Logger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    parameters = {"model.num_memory_tokens": {"value": 4}, "seed_everything": {"value": 1}}
    Path("parameters.yaml").write_text(yaml.safe_dump(parameters))
    agent = {"SWEEP_ID": "sweep1", "RUN_ID": "run1", "PROJECT": "theirs", "SWEEP_PARAM_PATH": "parameters.yaml"}
    for name, value in agent.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    run = logger({"seed_everything": 1})
    run.log_metrics({"train/loss": 1.5}, step=3)
    assert (run.experiment.id, run.experiment.sweep_id) == ("run1", "sweep1")
    run.experiment.finish()
    told = sent(server)
    assert {"name": "run1", "project": "theirs", "sweep": "sweep1", "tags": ["sweep1"]}.items() <= told.items()
    assert json.loads(told["config"])["model.num_memory_tokens"]["value"] == 4
    assert "Ignoring" not in capfd.readouterr().err


def test_dashboards_are_saved_once_and_then_replaced(server: WandbServer):
    pytest.importorskip("wandb_workspaces", reason="the extra `dashboards` is not installed")
    sweeps = [Sweep.load(path) for path in SWEEPS]
    first = save_dashboards("ada/llm2comp", sweeps[:1])
    again = save_dashboards("ada/llm2comp", sweeps)
    assert again[:2] == first
    assert [view["displayName"] for view in server.views.values()] == [
        "llm2comp",
        *(f"Ablation: {sweep.name}" for sweep in sweeps),
    ]
    assert all(address.startswith(f"{server.url}/ada/llm2comp") for address in again)


def test_a_network_that_goes_down_does_not_hold_up_the_run(server: WandbServer, logger: Logger):
    run = logger()
    run.log_metrics({"train/loss": 1.5}, step=3)
    server.stop()
    started = time.monotonic()
    run.log_metrics({"train/loss": 1.25}, step=4)
    run.experiment.finish()
    assert time.monotonic() - started < 20


def test_without_a_server_the_run_is_kept_offline(server: WandbServer, logger: Logger, tmp_path: Path):
    server.stop()
    run = logger()
    with pytest.warns(UserWarning, match="W&B could not start, and the run is kept offline"):
        run.log_metrics({"train/loss": 1.5}, step=3)
    assert run.experiment.offline
    assert list((tmp_path / "planted-home").glob("logs/ablation_memory/first/wandb/offline-run-*"))


def test_without_a_folder_to_write_to_the_run_goes_on(
    server: WandbServer, logger: Logger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    begin = wandb.init

    def init(**options: Any) -> Any:
        if options["mode"] == "offline":
            raise OSError(28, "No space left on device")
        return begin(**options)

    monkeypatch.setattr(wandb, "init", init)
    run = logger()
    with pytest.warns(UserWarning, match="the run goes on without W&B: .*No space left"):
        run.log_metrics({"train/loss": 1.5}, step=3)
    assert not run.records
    run.attempt(lambda _: pytest.fail("there is nothing to record with"))


# In a process of its own, which ends as W&B leaves it.
KILLED = """
import os, signal, subprocess, sys, time
from pathlib import Path

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.wandb import wandb_logger
from llm2comp.reporting.wandb_dashboards.saving import save_dashboards
from llm2comp.sweeps.sweep import Sweep

run = wandb_logger(RunFolder(Path(sys.argv[1]), "pretrain_compress", "first"), {}, "Distillation")
run.log_metrics({"train/loss": 1.5}, step=3)
listed = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "pid=,comm="], capture_output=True, text=True)
(core,) = [int(line.split()[0]) for line in listed.stdout.splitlines() if "wandb-core" in line]
os.kill(core, signal.SIGKILL)
time.sleep(0.5)
for step in (4, 5):
    run.log_metrics({"train/loss": 1.25}, step=step)
print("went on")
"""


def test_the_death_of_its_service_is_told_once_and_survived(tmp_path: Path):
    environment = {**os.environ, "WANDB_MODE": "offline"}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    assert done.stderr.count("W&B failed") == 1
