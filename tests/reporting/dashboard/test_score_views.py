"""MTEB scores of settings: means by category over seeds against what is varied, and gaps where one is missing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.ablation_view import AblationView
from llm2comp.reporting.dashboard.page import render
from llm2comp.reporting.tables.table import GAP
from llm2comp.sweeps.sweep import Sweep
from tests.reporting.dashboard.synthetic import numbers, write_run, write_sweep

KEY = "trainer.max_steps"
OBJECTIVES = ["llm2comp.objectives.Distillation", "llm2comp.objectives.MNTP"]


def view(root: Path, scores: Mapping[int, list[dict[str, float]]]) -> AblationView:
    """Of an ablation over steps, with the scores of the runs of each, by seed."""
    folder = write_sweep(root, "steps", "When?", ("val/retrieval_mrr", "maximize"), {KEY: list(scores)})
    for steps, runs in scores.items():
        for seed, of_run in enumerate(runs):
            options = {KEY: steps, "seed_everything": seed}
            write_run(folder / f"{steps}-{seed}", options, numbers(0.3), scores=of_run)
    return AblationView.of(AblationResults.load(root, Sweep.load(folder / "sweep.yaml")), root / "page.html")


def tasks(sts17: float, sts_b: float, banking: float) -> dict[str, float]:
    return {"Banking77Classification": banking, "STS17": sts17, "STSBenchmark": sts_b}


def test_categories_are_drawn_against_the_steps(tmp_path: Path):
    scores = {
        400: [tasks(60, 70, 80), tasks(62, 72, 81)],
        25: [tasks(40, 50, 75), tasks(40, 50, 76)],
        100: [tasks(50, 60, 70), tasks(54, 64, 70)],
    }
    found = view(tmp_path, scores)
    assert found.categories is not None
    assert list(found.categories.legend) == ["STS", "(Pair) classification: Banking77", "All"]
    sts, banking, everything = found.categories.data
    assert list(sts["x"]) == list(everything["x"]) == [25, 100, 400]
    assert list(sts["y"]) == [45, 57, 66]
    assert list(sts["error_y"]["array"]) == pytest.approx([0, 8**0.5, 2**0.5])
    assert list(banking["y"]) == [75.5, 70, 80.5]
    assert list(everything["y"]) == pytest.approx([(45 * 2 + 75.5) / 3, (57 * 2 + 70) / 3, (66 * 2 + 80.5) / 3])
    assert sts["mode"] == "lines+markers"
    assert found.categories.layout["xaxis"]["type"] == "log"
    assert "25: STS 45.00 ± 0.00, (Pair) classification: Banking77 75.50 ± 0.71" in found.categories.alternative
    columns = [(column.below, column.name) for column in found.scores.columns]
    assert columns[:4] == [("", "setting"), ("STS", "STS17"), ("STS", "STS-B"), ("STS", "mean")]
    assert [cell.text for cell in found.scores.rows[0]][:4] == ["400", "61.00 ± 1.41", "71.00 ± 1.41", "66.00 ± 1.41"]
    assert [row[3].tone for row in found.scores.rows] == ["best", "", ""]
    # They stand in one place, and on the page.
    assert not any("STS17" in row[0].text for row in found.measures.rows)
    html = render(tmp_path, tmp_path / "page.html").html
    assert "MTEB scores (%) of each category by max_steps" in html
    assert "66.00 ± 1.41" in html


def test_a_task_that_a_run_lacks_is_a_gap_in_its_means(tmp_path: Path):
    scores = {25: [tasks(40, 50, 60)], 50: [{"STS17": 90.0}], 100: [tasks(50, 60, 70)]}
    found = view(tmp_path, scores)
    assert [cell.text for cell in found.scores.rows[1]] == ["50", "90.00", GAP, GAP, GAP, GAP]
    assert found.categories is not None
    assert [list(trace["x"]) for trace in found.categories.data] == [[25, 100]] * 3


def test_names_stand_beside_each_other_without_a_line(tmp_path: Path):
    values = {"model.init_args.objective": OBJECTIVES}
    folder = write_sweep(tmp_path, "objective", "Which?", ("val/loss", "minimize"), values)
    for i, objective in enumerate(OBJECTIVES):
        write_run(folder / str(i), {"model.init_args.objective": objective}, numbers(0.3), scores={"Own": 10.0 * i})
    found = AblationView.of(AblationResults.load(tmp_path, Sweep.load(folder / "sweep.yaml")), tmp_path / "page.html")
    assert found.categories is not None
    (own,) = found.categories.data
    assert [(column.name, column.below) for column in found.scores.columns[1:]] == [("Own", "")]
    assert (list(own["x"]), list(own["y"]), own["mode"]) == ([0, 1], [0, 10], "markers")
    assert found.categories.layout["xaxis"]["ticktext"] == ["Distillation", "MNTP"]


def test_where_nothing_was_scored_nothing_is_shown(tmp_path: Path):
    found = view(tmp_path, {25: [{}], 50: [{}]})
    assert found.categories is None
    assert not found.scores.rows
    assert "MTEB scores" not in render(tmp_path, tmp_path / "page.html").html
