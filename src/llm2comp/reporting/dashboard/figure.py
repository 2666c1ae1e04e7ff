"""A plot for the page: what plotly draws, and what it says in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from llm2comp.reporting.dashboard.style import Style

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
INK = "#3a424c"
LINE = "#8a939e"
GRID = "#e3e6ea"
CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Figure:
    """`data` and `layout` as plotly.js takes them, a `title`, and the `alternative` text for who cannot see it.

    `legend`: the styles of the series by name, where there are several.
    """

    title: str
    alternative: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    legend: Mapping[str, Style]

    @classmethod
    def of(
        cls,
        title: str,
        alternative: str,
        traces: Sequence[go.Scatter],
        x: Mapping[str, Any],
        y: Mapping[str, Any],
        legend: Mapping[str, Style],
    ) -> "Figure":
        """The traces on axes with the given settings, in the style that all plots share."""
        axis = {"linecolor": LINE, "zeroline": False, "ticks": "outside", "tickcolor": LINE, "automargin": True}
        drawn = go.Figure(list(traces))
        drawn.update_layout(
            template="none",
            font={"family": FONT, "size": 13, "color": INK},
            paper_bgcolor=CLEAR,
            plot_bgcolor=CLEAR,
            margin={"l": 8, "r": 16, "t": 26, "b": 8},  # the buttons stand above the plot
            modebar={"bgcolor": CLEAR, "color": LINE, "activecolor": INK},
            hovermode="closest",
            dragmode="zoom",
            showlegend=False,  # the page has it, where it has room and can be read aloud
            xaxis={**axis, "showline": True, "showgrid": False, **x},
            yaxis={**axis, "gridcolor": GRID, **y},
        )
        plain = drawn.to_plotly_json()
        return cls(title, alternative, plain["data"], plain["layout"], legend if len(legend) > 1 else {})
