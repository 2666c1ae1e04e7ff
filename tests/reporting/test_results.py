"""results.json is there, whole, exactly when a run is finished, and a damaged one is named."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from llm2comp.errors import UserError
from llm2comp.reporting.results import RunResults

TRAINING = {"steps": 10, "tokens": 5120, "examples": 40, "checksum": "00ff"}


def test_what_is_saved_is_loaded(tmp_path: Path):
    results = RunResults({"val/loss": 1.25}, TRAINING, {"STS17": 71.5}, 68.25, {"isoscore": 0.5})
    results.save(tmp_path)
    assert RunResults.load(tmp_path) == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_what_was_not_measured_is_absent(tmp_path: Path):
    RunResults({}, TRAINING).save(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == {"metrics": {}, "training": TRAINING}
    assert RunResults.load(tmp_path) == RunResults({}, TRAINING)


def test_a_diverged_run_has_results_too(tmp_path: Path):
    RunResults({"val/loss": math.nan}, TRAINING).save(tmp_path)
    assert math.isnan(RunResults.load(tmp_path).metrics["val/loss"])


def test_a_failed_write_leaves_what_there_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    RunResults({"val/loss": 1.0}, TRAINING).save(tmp_path)

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        RunResults({"val/loss": 2.0}, TRAINING).save(tmp_path)
    assert RunResults.load(tmp_path).metrics == {"val/loss": 1.0}


def test_a_run_without_results_is_not_finished(tmp_path: Path):
    with pytest.raises(UserError, match="is not finished"):
        RunResults.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"metrics": {"val/loss": 1.', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        ([], "no names and values"),
        ({"training": TRAINING}, "lacks 'metrics'"),
        ({"metrics": {}}, "lacks 'training'"),
        ({"metrics": [], "training": TRAINING}, "'metrics' does not hold numbers"),
        ({"metrics": {"val/loss": "1.0"}, "training": TRAINING}, "'metrics' does not hold numbers"),
        ({"metrics": {}, "training": 3}, "'training' does not hold"),
        ({"metrics": {}, "training": TRAINING, "scores": {"STS17": None}}, "'scores' does not hold numbers"),
        ({"metrics": {}, "training": TRAINING, "sts_test_spearman": "68"}, "'sts_test_spearman' is no number"),
        ({"metrics": {}, "training": TRAINING, "score": {}}, "holds 'score'"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, content: Any, why: str):
    path = tmp_path / "results.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=why) as error:
        RunResults.load(tmp_path)
    assert str(path) in str(error.value)
    assert "--ckpt_path last" in str(error.value)
