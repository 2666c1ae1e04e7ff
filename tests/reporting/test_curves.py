"""The picture shows what was logged and nothing that was not."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from llm2comp.errors import UserError
from llm2comp.reporting.curves import draw_curves
from llm2comp.reporting.metrics_file import MetricsFile
from llm2comp.reporting.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, "pretrain_compress", "first")


def test_every_metric_has_its_panel_with_a_unit(run: RunFolder, drawn: list):
    file = MetricsFile(run.metrics)
    for step in range(0, 100, 10):
        file.write(step, {"train/loss": 2 - step / 100, "train/tokens_per_second": 300, "train/lr": 1e-4})
    for step in (0, 50):
        held_out = (
            "loss",
            "retrieval_mrr",
            "question_mrr",
            "sts_spearman",
            "memory_correlation",
            "effective_dimension",
        )
        file.write(step, {f"val/{name}": 0.5 for name in held_out} | {"val/context_recovered": step / 200})
    draw_curves(run)
    (figure,) = drawn
    assert figure.get_suptitle() == run.name
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert len(panels) == 7
    assert all(axes.get_xlabel() and axes.get_ylabel() and axes.lines for axes in figure.axes)
    # In percent, as the label says.
    assert panels["context recovered on held-out text"].lines[0].get_ydata().tolist() == [0, 25]
    assert len({line.get_color() for line in panels["quality of the embeddings"].lines}) == 3
    assert len({line.get_marker() for line in panels["quality of the embeddings"].lines}) == 3
    assert imread(run.curves).shape[1] >= 1500


def test_metrics_that_are_missing_or_not_numbers_have_no_panel(run: RunFolder, drawn: list):
    file = MetricsFile(run.metrics)
    file.write(0, {"train/loss": 2.0, "val/memory_correlation": float("nan")})
    draw_curves(run)
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "training loss"
    # One point is no line, so it gets a marker.
    assert axes.lines[1].get_marker() == "o"


def test_smoothing_follows_a_straight_line_and_calms_noise(run: RunFolder, drawn: list):
    file = MetricsFile(run.metrics)
    noise = np.random.default_rng(0).normal(size=300) * 0.3
    for step in range(300):
        file.write(step, {"train/loss": 5 - step / 100 + noise[step]})
    draw_curves(run)
    raw, smooth = (line.get_ydata() for line in drawn[0].axes[0].lines)
    line = 5 - np.arange(300) / 100
    assert np.abs(raw - line).max() > 0.6
    assert np.abs(smooth - line)[30:-30].max() < 0.2


def test_nothing_to_draw_is_said(run: RunFolder):
    MetricsFile(run.metrics).write(0, {"train/lr": 1e-4})
    with pytest.raises(UserError, match="holds none of the metrics"):
        draw_curves(run)
