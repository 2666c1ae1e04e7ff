"""Plots hold each run and what all say together, on an axis that suits the values."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.curve_figures import curve_figures
from llm2comp.reporting.dashboard.figure import Figure
from llm2comp.reporting.dashboard.outcome_figure import outcome_figure
from llm2comp.reporting.dashboard.style import styles
from llm2comp.sweeps.sweep import Sweep
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run, write_sweep


def load(folder: Path) -> AblationResults:
    return AblationResults.load(folder.parent, Sweep.load(folder / "sweep.yaml"))


def outcome(folder: Path) -> Figure:
    ablation = load(folder)
    names = [parameter.name for parameter in ablation.parameters]
    return outcome_figure(ablation.settings, names, ablation.sweep.metric.name)


def test_the_outcome_against_a_number_that_grows_by_factors(tmp_path: Path):
    figure = outcome(memory_tokens(tmp_path, {16: 0.3, 1: 0.1, 4: 0.2}))
    means, dots = figure.data
    assert figure.layout["xaxis"]["type"] == "log"
    assert figure.layout["xaxis"]["tickvals"] == [16, 1, 4]
    assert figure.layout["yaxis"]["title"]["text"] == "context recovered (%)"
    assert list(means["x"]) == [1, 4, 16]
    assert list(means["y"]) == pytest.approx([10, 20, 30])
    assert list(means["error_y"]["array"]) == pytest.approx([100 * np.std([-0.008, 0.0024, 0.0056], ddof=1)] * 3)
    assert means["mode"] == "lines+markers"
    assert list(dots["x"]) == [1, 1, 1, 4, 4, 4, 16, 16, 16]
    assert list(dots["y"][:3]) == pytest.approx([9.2, 10.24, 10.56])
    assert "num_memory_tokens=1,seed=2" in dots["text"][2]
    assert figure.legend == {}
    assert "1: 10.0\N{NO-BREAK SPACE}±" in figure.alternative


def sweep_of(tmp_path: Path, values: dict[str, list[Any]]) -> Path:
    """A sweep with a run of each of its settings."""
    folder = write_sweep(tmp_path, "a", "Which?", ("val/context_recovered", "maximize"), values)
    for i, setting in enumerate(Sweep.load(folder / "sweep.yaml").settings):
        write_run(folder / str(i), setting, numbers(0.1 * (i + 1)))
    return folder


def test_names_stand_side_by_side_without_a_line_between(tmp_path: Path):
    folder = sweep_of(tmp_path, {"model.init_args.objective": ["llm2comp.objectives.MNTP", "llm2comp.objectives.B<b>"]})
    figure = outcome(folder)
    means, dots = figure.data
    assert figure.layout["xaxis"]["ticktext"] == ["MNTP", "llm2comp.objectives.B&lt;b&gt;"]
    assert figure.layout["xaxis"]["type"] == "linear"
    assert list(means["x"]) == [0, 1]
    assert means["mode"] == "markers"
    assert all(dot < mean for dot, mean in zip(dots["x"], means["x"], strict=True))  # beside it, so that both are seen
    assert "<b>20.0" in means["text"][1]
    assert "B<b>" not in means["text"][1]


def test_of_two_parameters_the_one_with_more_values_runs_along_the_axis(tmp_path: Path):
    objective = "model.init_args.objective.init_args"
    folder = sweep_of(tmp_path, {f"{objective}.reverse": [False, True], f"{objective}.temperature": [1.0, 2.0, 4.0]})
    figure = outcome(folder)
    assert figure.layout["xaxis"]["title"]["text"] == "temperature"
    assert list(figure.legend) == ["reverse false", "reverse true"]
    assert [list(trace["y"]) for trace in figure.data[::2]] == [
        pytest.approx([10, 20, 30]),
        pytest.approx([40, 50, 60]),
    ]
    looks = [(trace["line"]["color"], trace["line"]["dash"], trace["marker"]["symbol"]) for trace in figure.data[::2]]
    assert all(first != second for first, second in zip(*looks, strict=True))


def test_a_run_that_diverged_is_not_drawn(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 4: 0.2, 16: 0.3}, seeds=(0,))
    (folder / "num_memory_tokens=4,seed=0" / "results.json").write_text(
        '{"metrics": {"val/context_recovered": NaN}, "training": {}}'
    )
    figure = outcome(folder)
    assert [list(trace["x"]) for trace in figure.data] == [[1, 16], [1, 16]]
    json.dumps([figure.data, figure.layout], allow_nan=False)


def test_curves_of_all_runs_however_far_they_came(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 4: 0.2, 16: 0.3}, seeds=(0, 1))
    options = {"model.init_args.num_memory_tokens": 4, "seed_everything": 1}
    stopped = folder / "num_memory_tokens=4,seed=1"
    (stopped / "results.json").unlink()
    write_run(stopped, options, numbers(0.2), until=140)
    figures = curve_figures(load(folder).attempts, "val/context_recovered")
    first, training, *_ = figures
    assert len(figures) == 4
    assert first.title == "context recovered (%), start cut off"
    assert training.title == "training loss (nats), smoothed"
    assert list(first.legend) == ["1", "4", "16"]
    assert [len(trace["x"]) for trace in first.data] == [3, 3, 3, 2, 3, 3]
    assert first.data[0]["line"] == first.data[1]["line"] != first.data[2]["line"]
    low, high = first.layout["yaxis"]["range"]
    assert low > min(first.data[0]["y"])  # before training
    assert low < min(min(trace["y"][1:]) for trace in first.data)
    assert high > max(max(trace["y"]) for trace in first.data)


def test_training_curves_are_smoothed_and_not_too_long(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1}, seeds=(0,))
    rough = [1 + math.sin(n) for n in range(2000)]
    rows = [f"{n},{value},1.0" for n, value in enumerate(rough)]
    (folder / "num_memory_tokens=1,seed=0" / "metrics.csv").write_text(
        "\n".join(["step,train/loss,val/loss", *rows, ""])
    )
    training, validation = curve_figures(load(folder).attempts, "val/unknown")
    assert training.legend == {}
    assert len(training.data[0]["x"]) == len(validation.data[0]["x"]) == 200
    assert training.data[0]["x"][-1] == 1999
    assert np.ptp(training.data[0]["y"][20:-20]) < 0.2 * np.ptp(rough)
    assert "range" not in validation.layout["yaxis"]


def contrast_on_white(colour: str) -> float:
    if colour.startswith("#"):
        channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    else:
        channels = [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    shares = [c / 255 for c in channels]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


@pytest.mark.parametrize("values", [list("abcdef"), [1, 2, 4, 8, 16, 32, 64]])
def test_styles_can_be_told_apart_and_seen(values: list[Any]):
    given = styles(values)
    assert len({(style.colour, style.dash, style.symbol) for style in given}) == len(values)
    assert len({style.colour for style in given}) == len(values)
    # WCAG 2.1, 1.4.11: graphics need 3:1.
    assert min(contrast_on_white(style.colour) for style in given) >= 3


def test_twelve_names_have_twelve_styles():
    assert len({(style.colour, style.dash, style.symbol) for style in styles(list("abcdefghijkl"))}) == 12
