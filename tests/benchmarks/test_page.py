"""The page says of every ratio what was wanted and whether it was reached, and is the same each time it is made."""

from pathlib import Path

import pytest

from benchmarks.harness import Ratio
from benchmarks.page import write_page
from benchmarks.results import Comparison, Curve, Result

RATIO = Ratio(2.0, 1.5, 2.5)


@pytest.fixture
def result() -> Result:
    comparisons = [
        Comparison("fast enough", RATIO, 2.0),
        Comparison("too slow", RATIO, 2.1),
        Comparison("small enough", RATIO, 2.0, at_most=True),
        Comparison("too large", RATIO, 1.9, at_most=True),
        Comparison("nothing wanted", RATIO),
    ]
    curve = Curve("length", "seconds a step", [1.0, 2.0], {"default": [0.1, 0.2], "SDPA": [0.1, 0.3]})
    return Result("growth", {}, comparisons, {"case": {"ours": [1.0]}}, {"loss": 0.5}, [curve], {"cores": 2})


def test_a_result_is_read_back_as_it_was(result: Result, tmp_path: Path):
    result.save(tmp_path)
    assert Result.load(tmp_path / "growth.json") == result


def test_the_page_says_what_was_reached(result: Result, tmp_path: Path):
    result.save(tmp_path)
    write_page(tmp_path, tmp_path / "speed.md")
    lines = (tmp_path / "speed.md").read_text(encoding="utf-8").splitlines()
    expected = {
        "fast enough": "at least 2 | yes",
        "too slow": "at least 2.1 | **no**",
        "small enough": "at most 2 | yes",
        "too large": "at most 1.9 | **no**",
        "nothing wanted": " | ",
    }
    for what, said in expected.items():
        assert f"| {what} | 2.00 | 1.50 to 2.50 | {said} |" in lines
    assert "| case | ours | 1 |" in lines
    assert "| loss | 0.5 |" in lines
    assert "Machine: cores 2." in lines


def test_the_same_results_make_the_same_files(result: Result, tmp_path: Path):
    made = []
    for name in ("first", "second"):
        result.save(tmp_path / "results")
        write_page(tmp_path / "results", tmp_path / name / "speed.md")
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert sorted(made[0]) == ["speed.md", "speed_growth.svg", "speed_ratios.svg"]
    assert made[0] == made[1]
