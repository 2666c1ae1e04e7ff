"""Panels of W&B that both workspace and reports have."""

from collections.abc import Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr

from llm2comp.reporting.dashboard.measures import measure
from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.sweep_setting import LABEL, SETTING
from llm2comp.reporting.wandb_results import BEST

# Lightning's step; W&B counts every logging.
STEP = "trainer/global_step"
# The setting of an ablation's run, in its configuration.
LABEL_KEY = f"{SETTING}.{LABEL}"

# The mean of each setting's runs, with the standard deviation.
BY_SETTING: dict[str, Any] = {
    "groupby": wr.Config(LABEL_KEY),
    "groupby_aggfunc": "mean",
    "groupby_rangefunc": "stddev",
}


def curve(name: str, by_setting: bool = False) -> wr.LinePlot:
    """A metric over optimizer steps, a line a run or, with its deviation, a line a setting."""
    return wr.LinePlot(
        title=metric(name).label,
        x=STEP,
        y=[name],
        title_x="optimizer step",
        title_y=metric(name).unit or None,
        **(BY_SETTING if by_setting else {}),
    )


def bars(name: str, by_setting: bool = False) -> wr.BarPlot:
    """A number of the runs' summaries by its name there, a bar a run or, with its deviation, a bar a setting."""
    return wr.BarPlot(title=title(name), metrics=[wr.SummaryMetric(name)], **(BY_SETTING if by_setting else {}))


def title(name: str) -> str:
    """What a number of the summary is called, with its unit."""
    return measure(name.removeprefix(BEST)).title


def arranged(panels: Sequence[Any]) -> list[Any]:
    """The panels of a report, two in a row, which is 24 wide."""
    for number, panel in enumerate(panels):
        row, place = divmod(number, 2)
        panel.layout = wr.Layout(x=12 * place, y=8 * row, w=12, h=8)
    return list(panels)
