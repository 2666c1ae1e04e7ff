"""A run's curves as one picture."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from llm2comp.errors import UserError
from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.run_folder import RunFolder

# Okabe and Ito's palette, which colour-blind people can tell apart; each metric has a marker of its own too.
STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))
RAW = "#B5B5B5"


@dataclass(frozen=True)
class Panel:
    """The metrics drawn on the same axes, what they show together, and the unit they share."""

    names: tuple[str, ...]
    title: str
    unit: str


PANELS = (
    Panel(("train/loss",), "training loss", "nats"),
    Panel(("val/loss",), "held-out loss", "nats"),
    Panel(("val/context_recovered",), "context recovered on held-out text", "% of what the context gives"),
    Panel(
        ("val/retrieval_mrr", "val/question_mrr", "val/sts_spearman"),
        "quality of the embeddings",
        "score (100 is best)",
    ),
    Panel(("val/memory_correlation",), "likeness of the memory states", "mean pairwise correlation"),
    Panel(("val/effective_dimension",), "spread of the embeddings", "effective dimension"),
    Panel(("train/tokens_per_second",), "training speed", "tokens per second"),
)
Curve = tuple[np.ndarray, np.ndarray]  # steps [N], values [N]


def draw_curves(run: RunFolder) -> None:
    """Draw what the run's metrics.csv holds into its curves.png; what was not logged gets no panel.

    Raises:
        UserError: the run has no metrics.csv, or nothing in it that is drawn.
    """
    curves = {name: _curve(name, points) for name, points in read_metrics(run.metrics).items()}
    curves = {name: (steps, values) for name, (steps, values) in curves.items() if len(steps)}
    panels = [panel for panel in PANELS if curves.keys() & set(panel.names)]
    if not panels:
        raise UserError(f"{run.metrics} holds none of the metrics that are drawn")
    columns = len(panels) if len(panels) <= 3 else -(-len(panels) // 2)
    rows = -(-len(panels) // columns)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(3.5 * columns, 2.9 * rows + 0.4), layout=layout)
    figure.suptitle(run.name, fontsize=13, fontweight="bold")
    grid = figure.add_gridspec(rows, columns)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(grid[divmod(place, columns)])
        _draw(axes, panel, {name: curves[name] for name in panel.names if name in curves})
    figure.savefig(run.curves, dpi=150)


def _curve(name: str, points: list[tuple[int, float]]) -> Curve:
    steps, values = np.array(points).T
    finite = np.isfinite(values)
    return steps[finite], values[finite] * metric(name).scale


def _draw(axes: Axes, panel: Panel, curves: dict[str, Curve]) -> None:
    for (name, (steps, values)), (colour, marker) in zip(curves.items(), STYLES, strict=False):
        # A line through one point would not be seen.
        point = marker if len(steps) == 1 else ""
        if name == "train/loss":
            axes.plot(steps, values, color=RAW, linewidth=0.9, label="as logged")
            axes.plot(steps, _smoothed(values), color=colour, marker=point, linewidth=1.8, label="smoothed")
        elif name.startswith("train/"):
            axes.plot(steps, values, color=colour, marker=point, linewidth=1.2)
            axes.set_ylim(0, 1.1 * values.max())
        else:
            axes.plot(steps, values, color=colour, marker=marker, markersize=4, label=metric(name).label)
    if "val/context_recovered" in curves:
        axes.axhline(0, color="black", linewidth=0.8, linestyle="--", label="no memory at all")
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set_ylabel(panel.unit, fontsize=9)
    axes.set_xlabel("optimizer step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if len(axes.lines) > 1 or len(panel.names) > 1:
        axes.legend(fontsize=8, frameon=False)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The average weighted by a Gaussian about each point, of a thirtieth of the curve's length: it does not lag."""
    width = max(1.0, len(values) / 30)
    reach = min(int(3 * width), (len(values) - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(values, kernel, mode="same") / np.convolve(np.ones_like(values), kernel, mode="same")
