"""An ablation that is killed, interrupted or whose runs fail loses nothing, and no run is ever run by two at once."""

import os
import signal
import time
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from tests.sweeps.conftest import Ablate, WriteSweep, wait_until

RUNS = Path("lightning_logs")


def results() -> list[Path]:
    return sorted(RUNS.glob("*/*/results.json"))


def records() -> dict[str, list[list[str]]]:
    """What each run did: the words of each line."""
    return {path.stem: [line.split() for line in path.read_text().splitlines()] for path in RUNS.glob("record/*.txt")}


def began(run: str) -> bool:
    return any(line[0] == "step" for line in records().get(run, []))


def halfway() -> bool:
    """Whether a run has saved something and is not finished."""
    return any(not (path.parents[1] / "results.json").exists() for path in RUNS.glob("*/*/checkpoints/last.ckpt"))


def record_size() -> int:
    return sum(path.stat().st_size for path in (RUNS / "record").iterdir())


def test_twelve_runs_killed_twice_end_with_twelve_results_and_none_runs_twice(write_sweep: WriteSweep, ablate: Ablate):
    sweep = write_sweep()
    for count in (3, 7):
        runner = ablate(sweep, "--jobs", "2")
        wait_until(lambda count=count: len(results()) >= count and halfway())
        os.kill(runner.pid, signal.SIGKILL)
        runner.communicate()
    assert len(results()) < 12
    last = ablate(sweep, "--jobs", "2")
    _, errors = last.communicate(timeout=60)
    assert last.returncode == 0, errors
    assert len(results()) == 12
    assert "All 12 runs are finished" in errors
    seen = records()
    assert len(seen) == 12
    resumed = 0
    for lines in seen.values():
        counts = Counter(line[0] for line in lines)
        assert counts["end"] <= 1
        # The lines of one process follow each other: no other has written between them.
        processes = [process for process, _ in groupby(line[-1] for line in lines)]
        assert len(processes) == len(set(processes)) == counts["start"]
        # What was saved was not computed again.
        starts = [int(line[1]) for line in lines if line[0] == "start"]
        assert starts == sorted(starts)
        steps = [int(line[1]) for line in lines if line[0] == "step"]
        assert set(steps) == set(range(1, 9))
        assert len(steps) <= 8 + counts["start"] - 1
        resumed += starts[-1] > 0
    assert resumed >= 1
    (RUNS / "record").rename("before")
    again = ablate(sweep)
    assert again.wait(timeout=60) == 0
    assert not (RUNS / "record").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_what_a_run_has_started_ends_with_the_runner(write_sweep: WriteSweep, ablate: Ablate, number: signal.Signals):
    runner = ablate(write_sweep(options=("--helper", "child", "--pause", "1")), "--jobs", "3")
    wait_until(lambda: len(list(RUNS.glob("record/*.helper"))) == 3)
    runner.send_signal(number)
    runner.communicate()
    time.sleep(0.3)
    size = record_size()
    time.sleep(0.3)
    assert record_size() == size


def test_a_run_waits_for_what_is_left_of_it(write_sweep: WriteSweep, ablate: Ablate):
    """A process that left the group of its run goes on after the kill; as long as it does, the run is not started."""
    one = {"parameters": {"value": {"values": [1]}}}
    runner = ablate(write_sweep(options=("--helper", "daemon", "--pause", "0.5"), **one))
    wait_until(lambda: began("value=1"))
    runner.kill()
    runner.communicate()
    again = ablate(write_sweep(options=("--helper", "daemon", "--pause", "0.5"), **one))
    time.sleep(1.5)
    assert [line[0] for line in records()["value=1"]].count("start") == 1
    (helper,) = RUNS.glob("record/*.helper")
    size = helper.stat().st_size
    wait_until(lambda: [line[0] for line in records()["value=1"]].count("start") == 2)
    assert helper.stat().st_size > size
    again.kill()
    _, errors = again.communicate()
    assert "Waiting: other processes are at value=1" in errors


def test_two_runners_share_the_runs(write_sweep: WriteSweep, ablate: Ablate):
    sweep = write_sweep()
    runners = [ablate(sweep, "--jobs", "2") for _ in range(2)]
    for runner in runners:
        _, errors = runner.communicate(timeout=60)
        assert runner.returncode == 0, errors
        assert "All 12 runs are finished" in errors
    for lines in records().values():
        assert [line[0] for line in lines] == ["start", *["step"] * 8, "end"]
    assert len(results()) == 12


def test_ctrl_c_lets_the_runs_save(write_sweep: WriteSweep, ablate: Ablate):
    sweep = write_sweep(options=("--pause", "0.3"))
    runner = ablate(sweep, "--jobs", "2")
    names = ("seed_everything=0,value=1", "seed_everything=0,value=2")
    wait_until(lambda: all(began(name) for name in names))
    runner.send_signal(signal.SIGINT)
    _, errors = runner.communicate(timeout=30)
    assert runner.returncode == 130
    assert "2 running save where they are" in errors
    assert "To go on: the same command" in errors
    assert "Traceback" not in errors
    assert {name: lines[-1][0] for name, lines in records().items()} == dict.fromkeys(names, "interrupted")


def test_a_second_ctrl_c_ends_what_does_not_listen(write_sweep: WriteSweep, ablate: Ablate):
    runner = ablate(write_sweep(options=("--pause", "0.2", "--steps", "500", "--stubborn", "1")), "--jobs", "2")
    wait_until(lambda: len(records()) == 2 and all(began(name) for name in records()))
    runner.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert runner.poll() is None
    runner.send_signal(signal.SIGINT)
    _, errors = runner.communicate(timeout=10)
    assert runner.returncode == 130, errors
    size = record_size()
    time.sleep(0.5)
    assert record_size() == size


def test_a_failed_run_is_reported_and_the_others_go_on(write_sweep: WriteSweep, ablate: Ablate):
    parameters = {"value": {"values": [1, 2, 3]}, "fail_at": {"values": [0, 2]}}
    sweep = write_sweep(parameters=parameters)
    runner = ablate(sweep, "--jobs", "2")
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 1
    assert [path.parent.name for path in results()] == [f"value={value},fail_at=0" for value in (1, 2, 3)]
    assert "3 of 6 runs failed" in errors
    for value in (1, 2, 3):
        log = RUNS / "ablation_twelve" / f"value={value},fail_at=2" / "log.txt"
        assert f"value={value},fail_at=2 failed (exit status 1, no results.json): {log}\n" in errors
    assert errors.count("  llm2comp: error: step 2 failed") == 3
    before = records()
    runner = ablate(sweep, "--jobs", "6")
    runner.communicate(timeout=60)
    assert runner.returncode == 1
    tried = {name for name, lines in records().items() if lines != before[name]}
    assert tried == {f"value={value},fail_at=2" for value in (1, 2, 3)}


def test_a_run_without_a_checkpoint_starts_again_in_an_empty_folder(write_sweep: WriteSweep, ablate: Ablate):
    sweep = write_sweep(options=("--checkpoints", "0"), parameters={"value": {"values": [1]}})
    runner = ablate(sweep)
    wait_until(lambda: began("value=1"))
    runner.kill()
    runner.communicate()
    runner = ablate(sweep)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 0, errors
    lines = records()["value=1"]
    assert [line[:2] for line in lines if line[0] == "start"] == [["start", "0"], ["start", "0"]]
    log = (RUNS / "ablation_twelve" / "value=1" / "log.txt").read_text()
    assert log.count("fake_fit.py") == 2
    assert "--ckpt_path" not in log


def test_a_run_knows_its_sweep_and_its_part_of_the_machine(write_sweep: WriteSweep, ablate: Ablate):
    runner = ablate(write_sweep(), "--jobs", "64", "--name", "other")
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 0, errors
    logs = list(RUNS.glob("ablation_other/*/log.txt"))
    assert len(logs) == 12
    assert all("sweep other, threads 1\n" in log.read_text() for log in logs)
