"""A run is read from its folder, however far it came, and whatever is damaged there."""

import fcntl
import json
from pathlib import Path

import pytest

from llm2comp.reporting.dashboard.run import Run, runs_in
from llm2comp.reporting.run_folder import RunFolder
from tests.reporting.dashboard.synthetic import numbers, write_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, "ablation_a", "run")


def read(folder: RunFolder, log: str = "") -> Run:
    if log:
        (folder.path / "log.txt").write_text(log)
    return Run.read(folder)


def test_a_finished_run(folder: RunFolder):
    write_run(folder.path, {"seed_everything": 3}, numbers(0.3), tokens=5000)
    run = read(folder, "Traceback\nValueError: of an attempt before")
    assert (run.state, run.problem, run.name, run.seed) == ("finished", "", "run", 3)
    assert (run.steps, run.spent("tokens")) == (260, 5000)
    assert run.measured["val/context_recovered"] == 0.3
    assert run.measured["sts_test_spearman"] == 45.1
    assert "geometry/isoscore" in run.measured
    assert run.options["model.init_args.lora.rank"] == 16
    assert run.series["train/loss"][0][0] == 0


def test_a_stopped_run(folder: RunFolder):
    write_run(folder.path, {}, numbers(0.3), until=140)
    run = read(folder, "step 130\nStopped; ablation_a/run is saved.\n")
    assert (run.state, run.problem, run.steps, run.measured, run.spent("tokens")) == ("unfinished", "", 130, {}, None)
    assert run.last_logged("val/context_recovered") == run.series["val/context_recovered"][-1][1]
    assert run.last_logged("val/unknown") is None


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        (
            "Traceback (most recent call last):\n  ...\ntorch.OutOfMemoryError: no room\n",
            "torch.OutOfMemoryError: no room",
        ),
        ("llm2comp: error: no such file\nsome warning\n", "llm2comp: error: no such file"),
        ("ValueError: first\n\nRuntimeError: then\n", "RuntimeError: then"),
    ],
)
def test_a_failed_run_says_why(folder: RunFolder, log: str, problem: str):
    write_run(folder.path, {}, {}, until=30)
    run = read(folder, log)
    assert (run.state, run.problem) == ("failed", problem)


def test_only_the_last_attempt_of_a_log_counts(folder: RunFolder):
    write_run(folder.path, {}, {}, until=30)
    first = "2025-11-28 14:03:59 $ llm2comp fit\nRuntimeError: no room\n"
    assert read(folder, first).state == "failed"
    assert (
        read(folder, f"{first}\n2025-11-28 14:13:59 $ llm2comp fit --ckpt_path last\nstep 30\n").state == "unfinished"
    )


def test_a_run_that_a_process_is_at_is_running(folder: RunFolder):
    write_run(folder.path, {}, {}, until=30)
    assert read(folder, "RuntimeError: no room\n").state == "failed"
    with (folder.path / "log.txt").open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert read(folder).state == "running"
    assert read(folder).state == "failed"


def test_secrets_and_home_paths_are_not_read_out(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    write_run(folder.path, {"data.train": "/home/ada/texts", "experiment": "hf_" + "a" * 20}, {}, until=30)
    run = read(folder, "FileNotFoundError: /home/ada/texts\n")
    assert run.problem == "FileNotFoundError: ~/texts"
    assert run.options["data.train"] == "~/texts"
    assert "hf_" not in run.options["experiment"]


@pytest.mark.parametrize("damaged", ["config.yaml", "metrics.csv", "results.json"])
def test_a_damaged_file_does_not_keep_the_rest_from_being_read(folder: RunFolder, damaged: str):
    write_run(folder.path, {}, numbers(0.3))
    (folder.path / damaged).write_bytes(b"\xff[: {,\n\x00,\n")
    run = read(folder)
    assert run.state == ("failed" if damaged == "results.json" else "finished")
    assert ("damaged" in run.problem) == (damaged == "results.json")
    assert bool(run.options) == (damaged != "config.yaml")
    assert bool(run.series) == (damaged != "metrics.csv")


def test_other_folders_are_no_runs(tmp_path: Path):
    write_run(tmp_path / "a" / "finished", {}, {})
    (tmp_path / "evaluation" / "results").mkdir(parents=True)
    (tmp_path / "evaluation" / "results" / "model_meta.json").write_text(json.dumps({}))
    (tmp_path / "b" / "begun").mkdir(parents=True)
    (tmp_path / "b" / "begun" / "log.txt").touch()
    (tmp_path / "b" / "empty").mkdir()
    assert [run.folder.name for run in runs_in(tmp_path)] == ["a/finished", "b/begun"]
    assert [run.folder.name for run in runs_in(tmp_path, "b")] == ["b/begun"]
