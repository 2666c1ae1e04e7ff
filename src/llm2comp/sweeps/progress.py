"""The progress of an ablation: runs done, time left, and what each running one said last."""

import statistics
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from llm2comp.sweeps.run_process import RunProcess


class AblationProgress:
    """A bar over all runs and a line for each that is running; without a terminal, a line whenever a run ends."""

    def __init__(self, total: int, finished: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._seconds: list[float] = []  # of the runs that finished here
        self._lines: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(Column(min_width=7)),
            TextColumn("{task.fields[said]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
        )
        self._runs = self._progress.add_task("Runs", total=total, completed=finished, count="", said="")
        self._waits = False  # for what other processes are at
        self._news = False  # since the last update

    def __enter__(self) -> "AblationProgress":
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._progress.stop()

    def started(self, process: RunProcess) -> None:
        """A run has started."""
        name = process.run.name
        self._lines[name] = self._progress.add_task(escape(name), total=None, count="", said="")
        if not self.console.is_terminal:
            self.say(f"Started {name}; its output: {process.run.log}")

    def ended(self, process: RunProcess, finished: bool) -> None:
        """A run has ended, with results or without."""
        if finished:
            self._seconds.append(process.seconds)
        self._progress.remove_task(self._lines.pop(process.run.name))
        self.done()
        self._news = True
        self.say(f"{process.run.name} {'finished' if finished else 'failed'} after {_time(process.seconds)}")

    def done(self) -> None:
        """One run more needs nothing."""
        self._progress.advance(self._runs)

    def waits(self, names: Sequence[str]) -> None:
        """These runs are all that is left, and other processes are at them."""
        if not self._waits:
            self.say(f"Waiting: other processes are at {', '.join(names)}")
        self._waits = True

    def update(self, running: Sequence[RunProcess], waiting: int, at_once: int) -> None:
        """Show what the running ones say, and the time left as the runs that finished here suggest it."""
        for process in running:
            self._progress.update(self._lines[process.run.name], said=escape(process.last_line))
        left = time_left(self._seconds, [process.seconds for process in running], waiting, at_once)
        said = "" if left is None else f"{_time(left)} left"
        self._progress.update(self._runs, count=self._count, said=said)
        if self._news and said and (running or waiting) and not self.console.is_terminal:
            self.say(said)
        self._news = False

    def say(self, text: str) -> None:
        """A line above the bars."""
        counted = "" if self.console.is_terminal else f"[{self._count}] "
        self.console.print(Text(counted + text), soft_wrap=True)

    @property
    def _count(self) -> str:
        runs = self._progress.tasks[0]
        return f"{runs.completed:.0f}/{runs.total:.0f}"


def time_left(finished: Sequence[float], running: Sequence[float], waiting: int, at_once: int) -> float | None:
    """Seconds that are left, if runs take what the finished ones took on average; None before any has."""
    if not finished:
        return None
    usual = statistics.fmean(finished)
    left = waiting * usual + sum(max(0.0, usual - seconds) for seconds in running)
    return left / max(1, at_once)


def _time(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))
