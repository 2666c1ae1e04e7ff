"""From the scores of encoders to a table: means, deviations over seeds, gaps and what is best."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from llm2comp.reporting.tables.table import Cell, Column, Row, Table, rounded
from llm2comp.reporting.tables.task_names import short_name


@dataclass(frozen=True)
class Scored:
    """An encoder with its scores in percent by task: of one run, or of several that differ in their seed."""

    name: str
    runs: Sequence[Mapping[str, float]]
    section: str = ""


def score_table(
    title: str, encoders: Iterable[Scored], tasks: Mapping[str, Sequence[str]], notes: Iterable[str] = ()
) -> Table:
    """The scores on `tasks`, given by category, with a mean of each category and over all tasks.

    A category of one task has no mean of its own. A score that a run lacks, or that is not a number, is a gap, and so
    is every mean that it would be part of. Of several runs a cell gives the mean and the sample standard deviation,
    those of a mean taken over the runs' means. The best of a column is marked in each section with two rows or more.
    """
    groups = _groups(tasks)
    rows = [
        Row(encoder.name, encoder.section, len(encoder.runs), tuple(_cell(encoder, group) for group in groups.values()))
        for encoder in encoders
    ]
    table = Table(title, tuple(groups), tuple(rows), tuple(notes))
    return replace(table, rows=tuple(row for _, section in table.sections for row in mark_best(section)))


def _groups(tasks: Mapping[str, Sequence[str]]) -> dict[Column, list[str]]:
    """Each column with the tasks that it is the mean of."""
    groups: dict[Column, list[str]] = {}
    for category, names in tasks.items():
        groups |= {Column(name, short_name(name), category): [name] for name in names}
        if len(names) > 1:
            groups[Column(f"{category} mean", "mean", category, is_mean=True)] = list(names)
    if len(groups) > 1 and len(tasks) > 1:
        groups[Column("mean", "mean", "All", is_mean=True)] = [name for names in tasks.values() for name in names]
    return groups


def _cell(encoder: Scored, tasks: list[str]) -> Cell:
    scores = [[run.get(task, math.nan) for task in tasks] for run in encoder.runs]
    if not all(math.isfinite(score) for run in scores for score in run):
        return Cell()
    means = [statistics.fmean(run) for run in scores]
    return Cell(statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else None)


def mark_best(rows: list[Row]) -> list[Row]:
    """The rows with the highest value of each column marked; those that read the same as it are as good."""
    best = []
    for cells in zip(*(row.cells for row in rows), strict=True):
        values = [rounded(cell.value) for cell in cells if cell.value is not None]
        best.append(max(values) if len(values) > 1 else None)
    return [
        replace(
            row,
            cells=tuple(
                replace(cell, is_best=cell.value is not None and rounded(cell.value) == highest)
                for cell, highest in zip(row.cells, best, strict=True)
            ),
        )
        for row in rows
    ]
