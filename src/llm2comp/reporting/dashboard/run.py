"""A run as the dashboard reads it: from its folder, however far it came."""

import fcntl
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from llm2comp.errors import UserError
from llm2comp.reporting.dashboard.measures import measured
from llm2comp.reporting.dashboard.options import Options, flatten, read_config
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.results import RunResults
from llm2comp.reporting.run_folder import LOG, RunFolder
from llm2comp.reporting.scrub import scrub

State = Literal["finished", "failed", "running", "unfinished"]
Series = dict[str, list[tuple[int, float]]]  # (step, value) pairs by metric

_LOG_END = 8192  # bytes
_START = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \$ ", re.MULTILINE)  # before the command of each attempt
_FAILURE = re.compile(r"^(?:llm2comp: error:|(?:\w+\.)*\w*(?:Error|Exception)\b).*", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """A run's configuration, numbers and state.

    `config` is as it was written, which may hold secrets; `options` are its dotted options without them. `state`:
    `finished` where it has its results, `failed` where its log ends in an error or its results cannot be read,
    `running` where a process of an ablation is at it, else `unfinished`. `problem`: what the error says, in one line.
    """

    folder: RunFolder
    config: dict[str, Any]
    options: Options
    series: Series
    results: RunResults | None
    state: State
    problem: str
    changed: datetime

    @classmethod
    def read(cls, folder: RunFolder) -> "Run":
        config = read_config(folder.config)
        results, problem = _results(folder)
        end: tuple[State, str] = (
            ("finished", "") if results else ("failed", problem) if problem else _end(folder.path / LOG)
        )
        state, problem = end
        return cls(
            folder=folder,
            config=config,
            options=flatten(scrub(config)),
            series=_series(folder.metrics),
            results=results,
            state=state,
            problem=problem,
            changed=_changed(folder),
        )

    @property
    def name(self) -> str:
        return self.folder.run

    @property
    def seed(self) -> int | None:
        """What `seed_everything` was; None where it is not known."""
        seed = self.options.get("seed_everything")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    @property
    def steps(self) -> int:
        """The optimizer steps it took, or, before it has finished, the last that something was logged of."""
        last = max((points[-1][0] for points in self.series.values()), default=0)
        return self.spent("steps") or last

    def last_logged(self, name: str) -> float | None:
        """The last value of the metric in its log; None where there is none."""
        points = self.series.get(name)
        return points[-1][1] if points else None

    def spent(self, name: str) -> int | None:
        """What a finished run took of `steps` or `tokens`; None where that is not recorded."""
        count = self.results.training.get(name) if self.results else None
        return count if isinstance(count, int) else None

    @property
    def measured(self) -> dict[str, float]:
        """The numbers of a finished run by name."""
        return measured(self.results) if self.results else {}


def runs_in(root: Path, experiment: str | None = None) -> list[Run]:
    """The runs of an experiment, or of all: the folders that hold a configuration, metrics or a log."""
    folders = RunFolder.all(root, experiment)
    return [
        Run.read(folder)
        for folder in folders
        if any(path.is_file() for path in (folder.config, folder.metrics, folder.path / LOG))
    ]


def _results(folder: RunFolder) -> tuple[RunResults | None, str]:
    if not folder.results.is_file():
        return None, ""
    try:
        return RunResults.load(folder.path), ""
    except UserError as error:
        return None, scrub(str(error))


def _series(path: Path) -> Series:
    try:
        return read_metrics(path)
    except (OSError, ValueError, TypeError, KeyError):  # none yet, or damaged
        return {}


def _end(log: Path) -> tuple[State, str]:
    """The state of a run without results by the log of its last attempt, and the last error there."""
    try:
        with log.open("rb") as file:
            try:
                # Whoever is at the run holds the lock.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return "running", ""
            file.seek(max(0, log.stat().st_size - _LOG_END))
            end = file.read().decode(errors="replace")
    except OSError:
        return "unfinished", ""
    errors = _FAILURE.findall(_START.split(end)[-1])
    return ("failed", scrub(errors[-1].strip())) if errors else ("unfinished", "")


def _changed(folder: RunFolder) -> datetime:
    files = (folder.results, folder.metrics, folder.path / LOG, folder.config)
    return datetime.fromtimestamp(max(path.stat().st_mtime for path in files if path.is_file()))
