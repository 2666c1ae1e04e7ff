"""Runs are named, found, and never written over."""

import os
from pathlib import Path

import pytest

from llm2comp.errors import UserError
from llm2comp.reporting.run_folder import RunFolder


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM2COMP_RUN", "WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def make(root: Path, name: str, file: str, age: int) -> RunFolder:
    run = RunFolder(root, *name.split("/"))
    path = run.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1e9 - age, 1e9 - age))
    return run


def test_a_run_is_named_by_the_caller_then_the_environment_then_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    by_time = RunFolder.new(tmp_path, "pretrain")
    assert by_time.path.match("pretrain/20[0-9][0-9]-[01][0-9]-[0-3][0-9]_[0-2][0-9]-[0-5][0-9]-[0-5][0-9]")
    monkeypatch.setenv("LLM2COMP_RUN", "shared")
    assert RunFolder.new(tmp_path, "pretrain").path == tmp_path / "pretrain" / "shared"
    assert RunFolder.new(tmp_path, "pretrain", "mine").path == tmp_path / "pretrain" / "mine"
    assert not any(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path):
    (tmp_path / "pretrain" / "mine").mkdir(parents=True)
    run = RunFolder.new(tmp_path, "pretrain", "mine")
    run.config.touch()
    with pytest.raises(UserError, match=rf"{run.path} exists and is not empty; choose another run name, or none$"):
        RunFolder.new(tmp_path, "pretrain", "mine")
    run.checkpoints.mkdir()
    run.last_checkpoint.touch()
    with pytest.raises(UserError, match="resume that run with --ckpt_path last"):
        RunFolder.new(tmp_path, "pretrain", "mine")


def test_the_other_processes_of_a_run_join_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="set LLM2COMP_RUN"):
        RunFolder.new(tmp_path, "pretrain")
    monkeypatch.setenv("LLM2COMP_RUN", "shared")
    first = RunFolder.new(tmp_path, "pretrain")
    first.checkpoints.mkdir(parents=True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert RunFolder.new(tmp_path, "pretrain") == first


def test_the_newest_is_the_one_whose_file_was_written_last(tmp_path: Path):
    resumed = make(tmp_path, "pretrain/1", "checkpoints/last.ckpt", age=0)
    make(tmp_path, "pretrain/2", "checkpoints/last.ckpt", age=10)
    without = make(tmp_path, "pretrain/3", "config.yaml", age=0)
    other = make(tmp_path, "contrast/1", "checkpoints/last.ckpt", age=5)
    assert RunFolder.newest(tmp_path, "pretrain") == resumed
    assert RunFolder.newest(tmp_path, "contrast") == other
    assert RunFolder.newest(tmp_path) == resumed
    assert RunFolder.newest(tmp_path, "pretrain", having="config.yaml") == without
    assert [run.name for run in RunFolder.all(tmp_path)] == ["contrast/1", "pretrain/1", "pretrain/2", "pretrain/3"]
    assert [run.name for run in RunFolder.all(tmp_path, "contrast")] == ["contrast/1"]


def test_no_run_says_where_it_looked(tmp_path: Path):
    with pytest.raises(UserError, match=rf"looked for {tmp_path}/pretrain/\*/checkpoints/last.ckpt"):
        RunFolder.newest(tmp_path, "pretrain")
    make(tmp_path, "pretrain/1", "config.yaml", age=0)
    with pytest.raises(UserError, match=rf"looked for {tmp_path}/\*/\*/encoder"):
        RunFolder.newest(tmp_path, having="encoder")
    with pytest.raises(UserError, match=r"unknown experiment in .* 'pretrian'; did you mean 'pretrain'"):
        RunFolder.newest(tmp_path, "pretrian")


@pytest.mark.parametrize(("experiment", "run"), [("", "1"), ("..", "1"), ("a/b", "1"), ("a", "../b")])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, experiment: str, run: str):
    with pytest.raises(UserError, match="cannot be named"):
        RunFolder.new(tmp_path, experiment, run or None)
