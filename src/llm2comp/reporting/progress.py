"""The progress bar of a run: optimizer steps done, time left, and the short metrics."""

import time
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from llm2comp.reporting.metric_names import METRICS

SHORT = {"train/loss": "loss", "val/context_recovered": "context", "train/tokens_per_second": "tokens/s"}

LOG_EVERY = 30.0  # seconds between lines where there is no terminal to draw a bar on


class StepProgress(ProgressBar):
    """One bar over all optimizer steps, rather than one an epoch, and one for each validation while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._disabled = False
        self._said_at = -LOG_EVERY

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._add("Training", int(trainer.estimated_stepping_batches), trainer.global_step)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        measured = trainer.callback_metrics
        shown = [f"{name} {_show(key, float(measured[key]))}" for key, name in SHORT.items() if key in measured]
        self._update("Training", completed=trainer.global_step, metrics="  ".join(shown))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._remove("Training")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._add("Measuring", sum(int(batches) for batches in trainer.num_val_batches), 0)

    def on_validation_batch_end(self, *_: Any) -> None:
        self._update("Measuring", advance=1)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._remove("Measuring")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def disable(self) -> None:
        """Called by Lightning on all processes but the first."""
        self._disabled = True

    def _add(self, name: str, total: int, completed: int) -> None:
        if self._disabled:
            return
        if self._progress is None:
            # In a narrow terminal the bar and the metrics give way, not the time.
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TimeElapsedColumn(Column(min_width=7)),
                TextColumn("left", table_column=Column(min_width=4)),
                TimeRemainingColumn(table_column=Column(min_width=7)),
                TextColumn("{task.fields[metrics]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            )
            self._progress = Progress(*columns, console=Console(stderr=True))
            self._progress.start()
        self._tasks[name] = self._progress.add_task(name, total=total, completed=completed, metrics="")

    def _update(self, name: str, **changes: Any) -> None:
        if self._progress is None or name not in self._tasks:
            return
        self._progress.update(self._tasks[name], **changes)
        if not self._progress.console.is_terminal and time.monotonic() - self._said_at >= LOG_EVERY:
            self._say(next(task for task in self._progress.tasks if task.id == self._tasks[name]))

    def _say(self, task: Task) -> None:
        """The bar as a line, for a log file."""
        assert self._progress is not None
        self._said_at = time.monotonic()
        left = "?" if task.time_remaining is None else str(timedelta(seconds=int(task.time_remaining)))
        done = f"{task.description} {task.completed:.0f}/{task.total:.0f}"
        self._progress.console.print(f"{done}  {left} left  {task.fields['metrics']}", soft_wrap=True)

    def _remove(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if self._progress is None or task is None:
            return
        self._progress.stop_task(task)
        if name == "Measuring":
            self._progress.remove_task(task)
        if not self._tasks:
            self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks = {}


def _show(key: str, value: float) -> str:
    return METRICS[key].show(value) + ("%" if METRICS[key].unit == "%" else "")
