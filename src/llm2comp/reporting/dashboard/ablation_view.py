"""What the page says and shows of one ablation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.ablation_tables import (
    differences_table,
    measures_table,
    results_table,
    run_count,
    runs_table,
)
from llm2comp.reporting.dashboard.budgets import unequal_budgets
from llm2comp.reporting.dashboard.curve_figures import curve_figures
from llm2comp.reporting.dashboard.data_table import DataTable
from llm2comp.reporting.dashboard.differences import Difference, differences
from llm2comp.reporting.dashboard.figure import Figure
from llm2comp.reporting.dashboard.measures import measure
from llm2comp.reporting.dashboard.outcome_figure import outcome_figure
from llm2comp.reporting.dashboard.run import Run
from llm2comp.reporting.dashboard.score_views import categories_figure, scored, scores_table
from llm2comp.reporting.verdict import Verdict, verdict


@dataclass(frozen=True)
class AblationView:
    """A section of the page. `warnings`: what to read the numbers with care for; `notes`: what else to know."""

    ablation: AblationResults
    verdict: Verdict
    warnings: list[str]
    notes: list[str]
    outcome: Figure | None
    results: DataTable
    categories: Figure | None
    scores: DataTable
    measures: DataTable
    curves: list[Figure]
    runs: DataTable
    differences: DataTable

    @property
    def name(self) -> str:
        return self.ablation.sweep.name

    @property
    def anchor(self) -> str:
        return self.ablation.sweep.experiment

    @property
    def question(self) -> str:
        return self.ablation.sweep.description

    @property
    def subject(self) -> str:
        """What is compared by what."""
        names = [parameter.name for parameter in self.ablation.parameters] or ["seed"]
        return f"{measure(self.ablation.sweep.metric.name).label} by {' and '.join(names)}"

    @classmethod
    def of(cls, ablation: AblationResults, page: Path) -> "AblationView":
        """The section, on a page that is to lie at `page`."""
        metric, settings = ablation.sweep.metric, ablation.settings
        samples = {setting.label: setting.samples(metric.name) for setting in settings}
        judged = verdict(
            {name: values for name, values in samples.items() if values}, metric.goal, measure(metric.name)
        )
        counted = [run for setting in settings for run in setting.runs]
        found = differences({run.name: run.options for run in counted}, ablation.sweep.parameters)
        unfair, fair = unequal_budgets(settings, ablation.sweep.parameters)
        names = [parameter.name for parameter in ablation.parameters]
        scores = scored(settings)
        is_drawn = names and any(map(math.isfinite, chain(*samples.values())))
        return cls(
            ablation=ablation,
            verdict=judged,
            warnings=[*unfair, *_not_swept(found), *_not_counted(ablation)],
            notes=[*fair, *_noise(counted)],
            outcome=outcome_figure(settings, names, metric.name) if is_drawn else None,
            results=results_table(ablation, judged),
            categories=categories_figure(scores, settings, names) if names else None,
            scores=scores_table(scores),
            measures=measures_table(ablation),
            curves=curve_figures(ablation.attempts, metric.name),
            runs=runs_table(ablation, page),
            differences=differences_table(found),
        )


def _not_swept(found: Sequence[Difference]) -> list[str]:
    lines = []
    for each in found:
        if not each.is_swept:
            values = "; ".join(f"{text} ({run_count(runs, named=3)})" for text, runs in each.runs.items())
            lines.append(f"Runs differ in {each.option}, which the sweep does not vary: {values}.")
    return lines


def _not_counted(ablation: AblationResults) -> list[str]:
    lines = [f"{run.name} failed, and does not count: {run.problem}" for run in ablation.runs if run.state == "failed"]
    if stopped := [_how_far(run) for run in ablation.runs if run.state == "unfinished"]:
        lines.append(f"Not finished, and not counted: {', '.join(stopped)}.")
    if running := [_how_far(run) for run in ablation.runs if run.state == "running"]:
        lines.append(f"Running still: {', '.join(running)}.")
    planned = len(ablation.sweep.settings)
    if (missing := planned - len(ablation.runs)) > 0:
        lines.append(f"{missing} of the {planned} runs of the sweep have not begun.")
    if ablation.repeated:
        names = ", ".join(run.name for run in ablation.repeated)
        lines.append(f"Not counted, for a later run has the same values and seed: {names}.")
    if ablation.strangers:
        names = ", ".join(run.name for run in ablation.strangers)
        lines.append(f"Not counted, for the sweep has no such setting: {names}.")
    name = ablation.sweep.metric.name
    if without := [run.name for each in ablation.settings for run in each.runs if name not in run.measured]:
        lines.append(f"Finished without {name}, and not counted: {', '.join(without)}.")
    return lines


def _how_far(run: Run) -> str:
    planned = run.options.get("trainer.max_steps")
    of = f" of {planned:,}" if isinstance(planned, int) and planned > 0 else ""
    return f"{run.name} (step {run.steps:,}{of})"


def _noise(counted: Sequence[Run]) -> list[str]:
    """Where the noise between seeds leaves something out."""
    orders = {run.options.get("data.seed") for run in counted}
    if len({run.seed for run in counted}) < 2 or len(orders) > 1 or None in orders:
        return []
    return [
        f"All runs read their examples in one order (data.seed {orders.pop()}): the noise is that of initialization "
        "and dropout alone."
    ]
