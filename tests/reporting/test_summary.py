"""The table says what changed, in words and units, within 80 columns."""

from pathlib import Path

import pytest
from rich.console import Console

from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.metrics_file import MetricsFile
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.summary import print_summary


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, "pretrain_compress", "2025-11-28_14-03-59")


def printed(run: RunFolder, next_steps: list[tuple[str, str]] | None = None) -> list[str]:
    console = Console(width=80, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    print_summary(run, next_steps or [], console)
    return console.export_text().splitlines()


def cells(lines: list[str], label: str) -> list[str]:
    (line,) = [line for line in lines if line.strip().startswith(label)]
    return line.replace(label, "").split()


def test_before_after_best_and_change(run: RunFolder):
    file = MetricsFile(run.metrics)
    file.write(0, {"val/loss": 0.951, "val/context_recovered": -0.25, "val/memory_norm": 6.4, "train/loss": 3.0})
    file.write(49, {"val/loss": 0.4, "val/context_recovered": 0.31, "val/memory_norm": 5.0})
    file.write(100, {"val/loss": 0.5, "val/context_recovered": 0.27, "val/memory_norm": 4.5})
    lines = printed(run)
    assert run.name in lines[0]
    assert cells(lines, "loss (nats)") == ["↓", "0.951", "0.500", "0.400", "49", "-0.451"]
    assert cells(lines, "context recovered (%)") == ["↑", "-25.0", "27.0", "31.0", "49", "+52.0"]
    # Neither more nor less of it is better.
    assert cells(lines, "memory norm") == ["6.40", "4.50", "-", "-", "-1.90"]
    assert not any("training" in line and "3.0" in line for line in lines)


def test_a_metric_that_is_missing_is_left_out_and_a_value_that_is_missing_marked(run: RunFolder):
    file = MetricsFile(run.metrics)
    file.write(0, {"val/loss": 1.0, "val/memory_correlation": float("nan")})
    file.write(100, {"val/retrieval_mrr": 0.5, "val/memory_correlation": float("nan"), "val/of_ones_own": 1e6})
    lines = printed(run)
    assert cells(lines, "loss (nats)") == ["↓", "1.000", "-", "-", "-", "-"]
    assert cells(lines, "retrieval MRR@10 (%)") == ["↑", "-", "50.0", "50.0", "100", "-"]
    assert cells(lines, "of ones own") == ["-", "1.0e+06", "-", "-", "-"]
    assert not any("memory correlation" in line for line in lines)


def test_it_fits_into_80_columns_with_every_metric(run: RunFolder):
    file = MetricsFile(run.metrics)
    names = ("loss", "context_recovered", "retrieval_mrr", "sts_spearman", "memory_correlation", "effective_dimension")
    for step in (0, 123456):
        file.write(step, {f"val/{name}": -1234.5678 for name in names} | {"val/memory_norm": 1e9})
    lines = printed(run)
    assert max(map(len, lines)) <= 80
    assert all(metric(f"val/{name}").title in "\n".join(lines) for name in names)


def test_next_steps_stand_whole_on_their_lines_and_are_not_markup(run: RunFolder):
    MetricsFile(run.metrics).write(0, {"train/loss": 1.0})
    command = f"llm2comp reconstruct --encoder {'long/' * 20} '[bold]text[/bold]'"
    lines = printed(run, [("See what it remembers", command)])
    assert f"  {command}" in lines
    assert "See what it remembers:" in lines
