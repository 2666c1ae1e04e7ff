"""metrics.csv loses nothing, whatever ends the process that writes it."""

import csv
import os
import signal
import subprocess
import sys
from math import isnan, nan
from pathlib import Path

import pytest

from llm2comp.errors import UserError
from llm2comp.reporting.metrics_file import MetricsFile, read_metrics


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_a_step_and_a_column_a_metric(tmp_path: Path):
    path = tmp_path / "run" / "metrics.csv"
    file = MetricsFile(path)
    file.write(0, {"val/loss": 2.5, "epoch": 0})
    file.write(0, {"train/loss": 2, "epoch": 0})
    file.write(9, {"train/loss": 1e-7 / 3, "epoch": 0})
    file.write(9, {"val/loss": nan, "epoch": 0})
    assert rows(path) == [
        {"step": "0", "epoch": "0", "val/loss": "2.5", "train/loss": "2"},
        {"step": "9", "epoch": "0", "val/loss": "nan", "train/loss": "3.33333333e-08"},
    ]
    series = read_metrics(path)
    assert series["train/loss"] == [(0, 2.0), (9, pytest.approx(1e-7 / 3))]
    assert series["val/loss"][0] == (0, 2.5)
    assert isnan(series["val/loss"][1][1])


def test_a_second_value_of_a_step_does_not_replace_the_first(tmp_path: Path):
    file = MetricsFile(tmp_path / "metrics.csv")
    for value in (3, 2):
        file.write(0, {"val/loss": value, "epoch": 0})
    assert read_metrics(tmp_path / "metrics.csv")["val/loss"] == [(0, 3.0), (0, 2.0)]


def test_an_existing_file_is_continued_and_cut_where_it_is_resumed(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    first = MetricsFile(path)
    for step in range(6):
        first.write(step, {"train/loss": step})
    second = MetricsFile(path)
    second.drop_from(4)
    assert read_metrics(path)["train/loss"] == [(step, float(step)) for step in range(4)]
    second.write(3, {"val/loss": 0.5})
    for step in (4, 5):
        second.write(step, {"train/loss": 10 * step, "new": 1})
    assert read_metrics(path)["train/loss"] == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 40), (5, 50)]
    assert read_metrics(path)["val/loss"] == [(3, 0.5)]
    assert [row["step"] for row in rows(path)] == list("012345")


def test_a_line_cut_off_is_neither_read_nor_continued(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    for step in range(3):
        file.write(step, {"train/loss": 0.25})
    path.write_bytes(path.read_bytes()[:-3])  # "2,,0.25" has become "2,,0."
    assert read_metrics(path)["train/loss"] == [(0, 0.25), (1, 0.25)]
    MetricsFile(path).write(2, {"train/loss": 0.5})
    assert read_metrics(path)["train/loss"] == [(0, 0.25), (1, 0.25), (2, 0.5)]


def test_sigkill_loses_nothing_that_was_logged(tmp_path: Path):
    script = """
import os, signal, sys
from pathlib import Path
from llm2comp.reporting.metrics_file import MetricsFile
file = MetricsFile(Path(sys.argv[1]))
for step in range(50):
    file.write(step, {"train/loss": step} if step < 25 else {"train/loss": step, "val/loss": step})
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "metrics.csv"
    killed = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read_metrics(path)["train/loss"] == [(step, float(step)) for step in range(50)]
    assert os.listdir(tmp_path) == ["metrics.csv"]


def test_each_step_appends_and_rewrites_nothing(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path)
    file.write(0, {"train/loss": 1})
    inode = path.stat().st_ino
    file.write(1, {"train/loss": 1})
    assert path.stat().st_ino == inode
    file.write(2, {"new": 1})
    assert path.stat().st_ino != inode


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=f"no metrics in {tmp_path}"):
        read_metrics(tmp_path / "metrics.csv")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"could not write .*file/metrics\.csv"):
        MetricsFile(tmp_path / "file" / "metrics.csv")
