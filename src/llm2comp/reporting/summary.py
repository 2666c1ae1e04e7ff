"""What a run changed, and what to do next, as the last thing it prints."""

from collections.abc import Sequence
from math import isnan

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm2comp.reporting.metric_names import METRICS, Metric, metric
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.run_folder import RunFolder

ARROWS = {1: " ↑", -1: " ↓", 0: ""}
MISSING = "-"


def print_summary(run: RunFolder, next_steps: Sequence[tuple[str, str]] = (), console: Console | None = None) -> None:
    """Print each validation metric before and after training, then `next_steps` as (what for, command).

    Raises:
        UserError: the run has no metrics.csv.
    """
    console = console or Console()
    series = {
        name: [(step, value) for step, value in points if not isnan(value)]
        for name, points in read_metrics(run.metrics).items()
        if name.startswith("val/")
    }
    if shown := {name: points for name, points in series.items() if points}:
        console.print(_table(run, shown))
    for purpose, command in next_steps:
        console.print(Text(f"\n{purpose}:", style="bold"))
        # A command is copied: no wrapping, no markup, no colours by guess.
        console.print(Text(f"  {command}"), soft_wrap=True)


def _table(run: RunFolder, series: dict[str, list[tuple[int, float]]]) -> Table:
    table = Table(title=f"{run.name}: held-out text, before and after training", title_justify="left", box=box.SIMPLE)
    table.add_column("")
    for heading in ("before", "after", "best", "at step", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    order = [*METRICS, *sorted(series.keys() - METRICS.keys())]
    for name in sorted(series, key=order.index):
        table.add_row(*_cells(metric(name), series[name]))
    return table


def _cells(shown: Metric, points: list[tuple[int, float]]) -> list[str | Text]:
    # Validation before training is logged at step 0; a run resumed without its first rows has none.
    before = points[0][1] if points[0][0] == 0 else None
    after = points[-1][1] if len(points) > 1 or before is None else None
    best_step, best = max(points, key=lambda point: shown.better * point[1])
    has_best = bool(shown.better) and after is not None
    return [
        shown.title + ARROWS[shown.better],
        MISSING if before is None else shown.show(before),
        Text(MISSING) if after is None else Text(shown.show(after), style="bold"),
        shown.show(best) if has_best else MISSING,
        str(best_step) if has_best else MISSING,
        Text(MISSING) if before is None or after is None else _change(shown, after - before),
    ]


def _change(shown: Metric, change: float) -> Text:
    better = change * shown.better
    return Text(
        ("+" if change >= 0 else "") + shown.show(change), style="green" if better > 0 else "red" if better < 0 else ""
    )
