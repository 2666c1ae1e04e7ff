"""The tables of the whole page: one line an ablation, and the runs outside of ablations."""

from collections.abc import Sequence
from pathlib import Path

from llm2comp.reporting.dashboard.ablation_tables import STATES
from llm2comp.reporting.dashboard.ablation_view import AblationView
from llm2comp.reporting.dashboard.data_table import Cell, Column, DataTable
from llm2comp.reporting.dashboard.links import link
from llm2comp.reporting.dashboard.measures import STS_TEST, measure
from llm2comp.reporting.dashboard.run import Run
from llm2comp.reporting.metric_names import Metric
from llm2comp.reporting.numbers import amount, difference_unit, spread, value
from llm2comp.reporting.verdict import Verdict

NEWEST = 30
# Of runs that were trained for different ends, what can be asked of each.
_MEASURES = ("val/loss", "val/context_recovered", "val/retrieval_mrr", "val/effective_dimension", STS_TEST)


def ablations_table(views: Sequence[AblationView]) -> DataTable:
    """A row an ablation: its best setting, by how much that leads, and the verdict."""
    columns = [Column(name, is_number=False) for name in ("ablation", "verdict", "best")]
    columns += [Column("ahead of the next by", is_number=False), Column("compared", is_number=False)]
    columns += [Column("runs", "finished of planned")]
    return DataTable("All ablations", columns, [_ablation_cells(view) for view in views])


def _ablation_cells(view: AblationView) -> list[Cell]:
    ablation = view.ablation
    shown = measure(ablation.sweep.metric.name)
    best = next((setting for setting in ablation.settings if setting.label == view.verdict.best), None)
    finished = sum(run.state == "finished" for run in ablation.runs)
    planned = max(len(ablation.sweep.settings), len(ablation.runs))
    return [
        Cell(view.name, href=f"#{view.anchor}"),
        Cell(view.verdict.headline),
        Cell(f"{best.label}: {spread(best.samples(ablation.sweep.metric.name), shown)}") if best else Cell(),
        _lead(view.verdict, shown),
        Cell(view.subject),
        Cell(f"{finished} of {planned}", finished / planned, tone="" if finished == planned else "warning"),
    ]


def _lead(judged: Verdict, shown: Metric) -> Cell:
    """How far the best is ahead of the next one, and whether that is more than noise."""
    difference = next(iter(judged.to_best.values()), None)
    if difference is None:
        return Cell()
    size = f"{amount(difference.value, shown)} {difference_unit(shown)}".rstrip()
    if difference.low is None:
        return Cell(f"{size}, where the seeds of both agree exactly")
    return Cell(f"{size}, {'more than' if difference.exceeds_noise else 'within'} noise")


def other_runs_table(runs: Sequence[Run], page: Path) -> DataTable:
    """The newest runs outside of ablations with what they came to, the newest first."""
    newest = sorted(runs, key=lambda run: run.changed, reverse=True)[:NEWEST]
    names = [name for name in _MEASURES if any(name in run.measured for run in newest)]
    columns = [
        Column("run", is_number=False),
        Column("last change"),
        Column("steps"),
        Column("training tokens"),
        *(Column(measure(name).label, measure(name).unit) for name in names),
        Column("state", is_number=False),
    ]
    count = f"The newest {len(newest)} of {len(runs)} runs" if len(newest) < len(runs) else "Runs"
    caption = f"{count} outside of ablations; numbers are of the exported checkpoint, or else the last logged"
    return DataTable(caption, columns, [_run_cells(run, names, page) for run in newest])


def _run_cells(run: Run, names: Sequence[str], page: Path) -> list[Cell]:
    tokens = run.spent("tokens")
    return [
        Cell(run.folder.name, href=link(run.folder.path, page)),
        Cell(f"{run.changed:%Y-%m-%d %H:%M}", run.changed.timestamp()),
        Cell(f"{run.steps:,}", run.steps),
        Cell() if tokens is None else Cell(f"{tokens:,}", tokens),
        *(_number(run, name) for name in names),
        Cell(f"{run.state}: {run.problem}" if run.problem else run.state, tone=STATES[run.state]),
    ]


def _number(run: Run, name: str) -> Cell:
    number = run.measured.get(name) if run.results else run.last_logged(name)
    return Cell() if number is None else Cell(value(number, measure(name)), number)
