"""The progress of an ablation says what is done and how long the rest takes."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from llm2comp.sweeps.progress import AblationProgress, time_left


@pytest.mark.parametrize(
    ("finished", "running", "waiting", "at_once", "left"),
    [
        ([], [5.0], 3, 1, None),
        ([10.0, 20.0], [], 2, 1, 30.0),
        ([10.0, 20.0], [5.0], 1, 1, 25.0),
        ([10.0, 20.0], [5.0, 40.0], 2, 2, 20.0),
        ([10.0], [], 0, 1, 0.0),
    ],
)
def test_the_time_left(finished: list[float], running: list[float], waiting: int, at_once: int, left: float | None):
    assert time_left(finished, running, waiting, at_once) == left


def process(name: str, seconds: float, last_line: str = "") -> Any:
    return SimpleNamespace(run=SimpleNamespace(name=name, log=f"{name}/log.txt"), seconds=seconds, last_line=last_line)


def test_without_a_terminal_it_is_lines():
    console = Console(file=io.StringIO(), width=200)
    with AblationProgress(4, 1, console) as progress:
        progress.started(process("a", 0))
        progress.update([process("a", 1)], 2, 1)
        progress.ended(process("a", 60), finished=True)
        progress.update([], 2, 1)
        progress.update([], 2, 1)
        progress.started(process("b", 0))
        progress.ended(process("b", 1), finished=False)
        progress.update([], 1, 1)
    assert console.file.getvalue().splitlines() == [
        "[1/4] Started a; its output: a/log.txt",
        "[2/4] a finished after 0:01:00",
        "[2/4] 0:02:00 left",
        "[2/4] Started b; its output: b/log.txt",
        "[3/4] b failed after 0:00:01",
        "[3/4] 0:01:00 left",
    ]


def test_in_a_terminal_it_is_bars_with_what_each_run_said_last():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=20)
    with AblationProgress(3, 0, console) as progress:
        first, second = process("a", 5, "[red]Training 3/9"), process("b", 5)
        for one in (first, second):
            progress.started(one)
        progress.ended(process("b", 30), finished=True)
        progress.update([first], 1, 1)
        progress.started(process("c", 0))
    shown = console.file.getvalue()
    assert "1/3" in shown
    assert "0:00:55 left" in shown
    assert "[red]Training 3/9" in shown
    assert "b finished after 0:00:30" in shown
