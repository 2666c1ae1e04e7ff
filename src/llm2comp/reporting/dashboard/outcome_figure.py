"""The metric of an ablation against its parameter: each run a dot, the mean with its deviation over seeds."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from llm2comp.reporting.dashboard.axis import AxisKind, axis_kind
from llm2comp.reporting.dashboard.figure import Figure
from llm2comp.reporting.dashboard.measures import measure
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.dashboard.style import Style, styles
from llm2comp.reporting.numbers import mean_and_deviation, spread, with_unit

# How far apart the series stand at a name, as a part of the way to the next.
_APART = 0.5
# The dots of runs stand this far beside their mean at a name, so that it does not hide them.
_BESIDE = 0.06


def outcome_figure(settings: Sequence[Setting], parameters: Sequence[str], metric_name: str) -> Figure:
    """The parameter with the most values runs along the axis; of the others, each combination is a series."""
    along = max(range(len(parameters)), key=lambda i: len({setting.texts[i] for setting in settings}))
    ticks = {setting.texts[along]: setting.values[along] for setting in settings}
    kind = axis_kind(list(ticks.values()))
    places = {text: float(raw) if kind != "category" else place for place, (text, raw) in enumerate(ticks.items())}
    series = _series(settings, parameters, along)
    legend = dict(zip(series, styles(_raw_others(series, along)), strict=True))
    traces = []
    for number, (name, group) in enumerate(series.items()):
        shift = _APART * (number - (len(series) - 1) / 2) / len(series) if kind == "category" else 0.0
        x = {setting.label: places[setting.texts[along]] + shift for setting in group}
        ordered = sorted(group, key=lambda setting: x[setting.label])
        traces += [
            _means(ordered, x, metric_name, legend[name], kind),
            _dots(ordered, x, metric_name, legend[name], kind),
        ]
    shown = measure(metric_name)
    x_axis = {
        "title": {"text": html.escape(parameters[along])},
        "type": "log" if kind == "log" else "linear",
        "tickvals": list(places.values()),
        "ticktext": [html.escape(text) for text in places],
        # On a narrow page names end at their tick: one that ended past the page would not be drawn.
        "autotickangles": [0, -45, -90],
    }
    if kind == "category":
        x_axis["range"] = [-0.5, len(places) - 0.5]
    title = f"{shown.title} by {', '.join(parameters)}"
    said = [f"{setting.label}: {spread(setting.samples(metric_name), shown)}" for setting in settings]
    alternative = f"Plot of {title}. {'; '.join(said)}."
    return Figure.of(
        title, alternative, traces, x_axis, {"title": {"text": html.escape(shown.title), "standoff": 12}}, legend
    )


def _series(settings: Sequence[Setting], parameters: Sequence[str], along: int) -> dict[str, list[Setting]]:
    """The settings by the values of the parameters that are not along the axis."""
    series: dict[str, list[Setting]] = {}
    for setting in settings:
        others = [
            f"{name} {text}" for i, (name, text) in enumerate(zip(parameters, setting.texts, strict=True)) if i != along
        ]
        series.setdefault(", ".join(others), []).append(setting)
    return series


def _raw_others(series: Mapping[str, Sequence[Setting]], along: int) -> list[Any]:
    """The values that the names of the series tell; a value itself where it is but one."""
    others = [[raw for i, raw in enumerate(group[0].values) if i != along] for group in series.values()]
    return [values[0] if len(values) == 1 else None for values in others]


def _means(
    settings: Sequence[Setting], x: Mapping[str, float], metric_name: str, style: Style, kind: AxisKind
) -> go.Scatter:
    shown = measure(metric_name)
    points = []
    for setting in settings:
        samples = setting.samples(metric_name)
        mean, deviation = mean_and_deviation(samples)
        if mean is not None and math.isfinite(mean):
            of = "1 run" if len(samples) == 1 else f"mean of {len(samples)} runs"
            text = f"{html.escape(setting.label)}<br><b>{spread(samples, shown)}</b><br>{of}"
            points.append(
                (x[setting.label], mean * shown.scale, None if deviation is None else deviation * shown.scale, text)
            )
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        error_y={"array": [point[2] for point in points], "thickness": 1.8, "width": 7, "color": style.colour},
        # Between names there is nothing that a line could pass.
        mode="markers" if kind == "category" else "lines+markers",
        line={"color": style.colour, "dash": style.dash, "width": 2},
        marker={"color": style.colour, "symbol": style.symbol, "size": 11},
        text=[point[3] for point in points],
        hoverinfo="text",
    )


def _dots(
    settings: Sequence[Setting], x: Mapping[str, float], metric_name: str, style: Style, kind: AxisKind
) -> go.Scatter:
    shown = measure(metric_name)
    points = [
        (
            x[setting.label] - (_BESIDE if kind == "category" else 0.0),
            run.measured[metric_name] * shown.scale,
            f"{html.escape(run.name)}<br><b>{with_unit(run.measured[metric_name], shown)}</b><br>seed {run.seed}",
        )
        for setting in settings
        for run in setting.runs
        if math.isfinite(run.measured.get(metric_name, math.nan))
    ]
    return go.Scatter(
        x=[point[0] for point in points],
        y=[point[1] for point in points],
        mode="markers",
        marker={"color": "#ffffff", "size": 7, "line": {"color": style.colour, "width": 1.6}},
        text=[point[2] for point in points],
        hoverinfo="text",
    )
