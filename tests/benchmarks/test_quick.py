"""Each benchmark, rehearsed: it runs, and its figures come to the page."""

from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, main, measure
from benchmarks.results import Result


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs_and_is_reported(name: str, tmp_path: Path):
    measure([name], tmp_path / "results", tmp_path / "docs" / "speed.md", quick=True)
    result = Result.load(tmp_path / "results" / f"{name}.json")
    assert result.comparisons
    assert result.machine["torch"]
    page = (tmp_path / "docs" / "speed.md").read_text(encoding="utf-8")
    for comparison in result.comparisons:
        assert comparison.ratio.lowest <= comparison.ratio.median <= comparison.ratio.highest
        assert f"| {comparison.what} | {comparison.ratio.median:.2f} |" in page
    assert (tmp_path / "docs" / "speed_ratios.svg").is_file()


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["encodin"])
    assert "no benchmark encodin; there are encoding" in capsys.readouterr().err
