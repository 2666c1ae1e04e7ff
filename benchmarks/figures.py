"""Figures of the page: ratios beside their targets, and curves of growth."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.results import Curve, Result

BETTER, WORSE, PLAIN = "#2a7f62", "#b3432b", "#777777"


def draw_ratios(results: Sequence[Result], path: Path) -> None:
    """All ratios on one axis, from the least to the greatest of the rounds, and what each should be."""
    rows = [(result.name, each) for result in results for each in result.comparisons]
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, (_, each) in enumerate(rows):
        colour = {True: BETTER, False: WORSE, None: PLAIN}[each.reached]
        axes.plot([each.ratio.lowest, each.ratio.highest], [y, y], color=colour, linewidth=2)
        axes.plot(each.ratio.median, y, "o", color=colour)
        if each.target is not None:
            axes.plot(each.target, y, "|", color="black", markersize=12)
    axes.set_yticks(range(len(rows)), [f"{name}: {each.what}" for name, each in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10], ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10"])
    axes.axvline(1, color="lightgrey", zorder=0)
    axes.set_xlabel("ratio, least to greatest round; bar: wanted; red: not reached")
    _save(figure, path)


def draw_curves(curves: Sequence[Curve], path: Path) -> None:
    """A column for each quantity on the x axis, a row for each on the y axis; both axes logarithmic."""
    columns = list(dict.fromkeys(curve.x_name for curve in curves))
    rows = list(dict.fromkeys(curve.y_name for curve in curves))
    figure = Figure(figsize=(3 * len(columns), 2.6 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for curve in curves:
        _draw(curve, grid[rows.index(curve.y_name)][columns.index(curve.x_name)])
    _save(figure, path)


def _draw(curve: Curve, axes: Axes) -> None:
    """The curve's lines, and in grey what would be linear."""
    for name, values in curve.lines.items():
        axes.plot(curve.x, values, "o-", label=name, markersize=3)
    first = next(iter(curve.lines.values()))[0]
    axes.plot(curve.x, [first * x / curve.x[0] for x in curve.x], ":", color="grey", label="linear")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(curve.x, [f"{x:,.0f}" for x in curve.x], fontsize=7, rotation=45)
    axes.set_xlabel(curve.x_name)
    axes.set_ylabel(curve.y_name)
    axes.legend(fontsize=7)


def _save(figure: Figure, path: Path) -> None:
    """As the same file for the same figure: ids that are not random, and no date."""
    with matplotlib.rc_context({"svg.hashsalt": "llm2comp"}):
        figure.savefig(path, metadata={"Date": None})
