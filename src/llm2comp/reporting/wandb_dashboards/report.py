"""The W&B report of an ablation: its question, what was varied, the table, the plots and the runs."""

from typing import Any

import wandb_workspaces.reports.v2 as wr

from llm2comp.reporting.dashboard.axis import axis_kind
from llm2comp.reporting.dashboard.parameter import SEED, Parameter, parameters, value_text
from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.scrub import scrub
from llm2comp.reporting.sweep_setting import SETTING, column
from llm2comp.reporting.wandb_dashboards.panels import LABEL_KEY, arranged, bars, curve, title
from llm2comp.reporting.wandb_results import BEST
from llm2comp.sweeps.sweep import Sweep

# How a key of a configuration is written where a run set names its columns.
_CONFIG = f"config:{SETTING}.value"
_WATCHED = ("val/loss", "val/context_recovered", "val/retrieval_mrr", "val/effective_dimension")


def ablation_report(sweep: Sweep, entity: str, project: str) -> wr.Report:
    """A report whose numbers are those of the runs in the project, as they come in."""
    name = sweep.metric.name
    outcome, varied = f"{BEST}{name}", parameters(sweep.parameters)
    curves = dict.fromkeys((name, *_WATCHED))
    return wr.Report(
        entity=entity,
        project=project,
        title=report_title(sweep),
        description=sweep.description,
        width="fluid",
        blocks=[
            wr.H1("The question"),
            wr.P(sweep.description),
            wr.MarkdownBlock(_what_is_varied(sweep)),
            wr.H1("The settings"),
            wr.P("Mean over seeds, with the standard deviation; the table below the plots has the same by setting."),
            wr.PanelGrid(
                runsets=[_runset(sweep, outcome, by_setting=True)],
                panels=arranged([bars(outcome, by_setting=True), *_plots(varied, outcome)]),
            ),
            wr.H1("On the way"),
            wr.PanelGrid(
                runsets=[_runset(sweep, outcome, by_setting=True)],
                panels=arranged([curve(each, by_setting=True) for each in curves]),
            ),
            wr.H1("The runs"),
            wr.P("Every run; the comparer shows in what their configurations differ."),
            wr.PanelGrid(
                runsets=[_runset(sweep, outcome, by_setting=False)],
                panels=arranged([bars(outcome), wr.RunComparer(diff_only="split")]),
            ),
        ],
    )


def report_title(sweep: Sweep) -> str:
    """What the report of a sweep is called; one that is called so is replaced."""
    return f"Ablation: {sweep.name}"[:128]


def _what_is_varied(sweep: Sweep) -> str:
    values = {each.key: ", ".join(map(value_text, scrub(each.values))) for each in parameters(sweep.parameters)}
    lines = [f"- `{key}`: {text}" for key, text in values.items()]
    seeds = len(sweep.parameters.get(SEED, (0,)))
    better = "more" if sweep.metric.goal == "maximize" else "less"
    return "\n".join(
        [
            "Varied:",
            *lines,
            f"- seeds: {seeds}",
            "",
            f"{len(sweep.settings)} runs, compared by **{metric(sweep.metric.name).title}** of the exported encoder "
            f"(`{sweep.metric.name}`; {better} is better).",
        ]
    )


def _runset(sweep: Sweep, outcome: str, by_setting: bool) -> wr.Runset:
    columns = [f"{_CONFIG}.{column(each)}" for each in parameters(sweep.parameters)]
    # Of the report's own project: any other would be looked up on the server.
    return wr.Runset(
        name="by setting" if by_setting else "runs",
        filters=f"Group = '{sweep.experiment}'",
        groupby=[f"config.{LABEL_KEY}"] if by_setting else [],
        pinned_columns=["run:displayName", *columns, f"config:{SEED}.value", f"summary:{outcome}", "run:state"],
    )


def _plots(varied: tuple[Parameter, ...], outcome: str) -> list[Any]:
    """Each run as a dot over each parameter of numbers, and, of several parameters, how they go together."""
    plots: list[Any] = [
        wr.ScatterPlot(
            title=f"{title(outcome)} by {each.name}",
            x=wr.Config(f"{SETTING}.{column(each)}"),
            y=wr.SummaryMetric(outcome),
            log_x=axis_kind(each.values) == "log",
        )
        for each in varied
        if axis_kind(each.values) != "category"
    ]
    if len(varied) > 1:
        columns = [wr.ParallelCoordinatesPlotColumn(wr.Config(f"{SETTING}.{column(each)}")) for each in varied]
        result = wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(outcome), display_name=title(outcome))
        plots.append(wr.ParallelCoordinatesPlot(title="Parameters together", columns=[*columns, result]))
    return plots
