"""How measures of a run's encoder change over its steps, for the screen and for print."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llm2comp.reporting.print_figure import MARKERS, PAGE_WIDTH, STYLE, line_style, save

_COLUMNS = 3
# Inches.
_ROW_HEIGHT, _LEGEND_LINE = 1.7, 0.2
_ROUND = [1, 2, 2.5, 5, 10]

Curve = Mapping[int, float]


def draw_over_steps(measures: Mapping[str, Mapping[str, Curve]], folder: Path) -> list[Path]:
    """Write over_steps.pdf and over_steps.png into the folder, and return their paths.

    `measures`: by the name of a measure and by run, its values by optimizer step; runs of a measure may lack.
    """
    runs = list(dict.fromkeys(run for curves in measures.values() for run in curves))
    rows = -(-len(measures) // _COLUMNS)
    with matplotlib.rc_context(STYLE):
        height = _ROW_HEIGHT * rows + _LEGEND_LINE * -(-len(runs) // 2)
        figure = Figure(figsize=(PAGE_WIDTH, height), layout="constrained")
        for i, (name, curves) in enumerate(measures.items()):
            first = figure.axes[0] if figure.axes else None
            axes = figure.add_subplot(rows, min(_COLUMNS, len(measures)), i + 1, sharex=first)
            _draw(axes, name, curves, runs)
        lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
        handles = [lines[run] for run in runs]
        figure.legend(handles=handles, loc="outside upper center", ncols=2, handlelength=3.5)
        return save(figure, folder, "over_steps")


def _draw(axes: Axes, name: str, curves: Mapping[str, Curve], runs: list[str]) -> None:
    for run, values in curves.items():
        i = runs.index(run)
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(list(values), list(values.values()), label=run, marker=marker, **line_style(i))
    axes.set_title(name, loc="left")
    axes.set_xlabel("optimizer step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=_ROUND))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_ROUND))
    axes.grid()
    axes.spines[["top", "right"]].set_visible(False)
