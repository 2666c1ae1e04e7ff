"""The training curves of an ablation's runs, a plot a metric."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from llm2comp.reporting.dashboard.figure import Figure
from llm2comp.reporting.dashboard.measures import measure
from llm2comp.reporting.dashboard.run import Run
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.dashboard.style import Style, styles
from llm2comp.reporting.smoothing import smoothed

# After the ablation's own metric; what was not logged gets no plot.
METRICS = ("train/loss", "val/loss", "val/context_recovered", "val/retrieval_mrr", "val/memory_correlation")
_MOST = 4  # plots
_POINTS = 200  # of a curve: more are not seen, and make the page heavy

Curve = tuple[np.ndarray, np.ndarray]  # steps [N], values [N]


def curve_figures(attempts: Sequence[Setting], metric_name: str) -> list[Figure]:
    """The curves of all runs, those of a setting in one style."""
    raw = [attempt.values[0] if len(attempt.values) == 1 else None for attempt in attempts]
    legend = {attempt.label: style for attempt, style in zip(attempts, styles(raw), strict=True)}
    names = dict.fromkeys((metric_name, *METRICS))
    logged = [name for name in names if any(_curve(run, name) for attempt in attempts for run in attempt.runs)]
    return [_figure(attempts, name, legend) for name in logged[:_MOST]]


def _figure(attempts: Sequence[Setting], name: str, legend: dict[str, Style]) -> Figure:
    traces, curves = [], {}
    for attempt in attempts:
        for run in attempt.runs:
            if curve := _curve(run, name):
                curves[run.name] = curve
                traces.append(_trace(run.name, attempt.label, curve, legend[attempt.label]))
    title = measure(name).title + (", smoothed" if name.startswith("train/") else "")
    ends = "; ".join(f"{run}: {values[0]:.4g} to {values[-1]:.4g}" for run, (_, values) in curves.items())
    alternative = f"Plot of {title} over optimizer steps, from the first to the last value logged. {ends}."
    y_axis: dict[str, Any] = {}
    if span := _span_after_start(list(curves.values())):
        y_axis["range"] = span
        title += ", start cut off"
    return Figure.of(title, alternative, traces, {"title": {"text": "optimizer step"}}, y_axis, legend)


def _trace(run: str, setting: str, curve: Curve, style: Style) -> go.Scatter:
    steps, values = curve
    return go.Scatter(
        x=steps.tolist(),
        y=[float(f"{value:.5g}") for value in values],
        mode="lines" if len(steps) > 20 else "lines+markers",
        line={"color": style.colour, "dash": style.dash, "width": 1.7},
        marker={"symbol": style.symbol, "size": 7},
        hovertemplate=f"{html.escape(run)}<br>step %{{x}}: <b>%{{y:.4g}}</b><extra></extra>",
        name=html.escape(setting),
    )


def _curve(run: Run, name: str) -> Curve | None:
    points = [(step, value) for step, value in run.series.get(name, []) if math.isfinite(value)]
    if not points:
        return None
    steps, values = np.array(points).T
    values = values * measure(name).scale
    if name.startswith("train/"):
        values = smoothed(values)
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _POINTS)).round().astype(int))
    return steps[keep], values[keep]


def _span_after_start(curves: Sequence[Curve]) -> list[float] | None:
    """Where the values after step 0 lie, if those before training would leave them less than half of the height."""
    everything = np.concatenate([values for _, values in curves])
    later = np.concatenate([values[steps > 0] for steps, values in curves])
    if not len(later) or np.ptp(later) == 0 or np.ptp(everything) <= 2 * np.ptp(later):
        return None
    margin = 0.08 * np.ptp(later)
    return [float(later.min() - margin), float(later.max() + margin)]
