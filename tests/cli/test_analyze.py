"""`llm2comp analyze`: a table, numbers and a figure of encoders, and of a run over its checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from llm2comp.cli import main as llm2comp
from llm2comp.cli.analyze import main
from llm2comp.data.held_out import held_out_texts
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.evaluation.fairness import FAIR
from llm2comp.evaluation.geometry import measure_geometry, memory_states
from llm2comp.evaluation.retrieval import halves
from llm2comp.geometry import alignment, effective_dimension, pairwise_correlation
from tests.cli.conftest import Arguments

Folder = Callable[[str], Path]


@pytest.fixture
def trained(arguments: Arguments, run_folder: Folder, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a run of which the best checkpoint is not the last."""
    worst = ("--monitor", "val/loss", "--monitor_mode", "max")
    llm2comp(arguments("--run", "a", *worst, "--trainer.logger", "false", "--trainer.val_check_interval", "3"))
    capsys.readouterr()
    return run_folder("a")


@pytest.fixture
def kept(arguments: Arguments, run_folder: Folder, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a run that has kept its checkpoints: ten and more, so that 12 comes after 9."""
    more = ("--keep_checkpoints", "all", "--checkpoint_every", "1", "--trainer.logger", "false")
    llm2comp(arguments("--run", "kept", *more))
    capsys.readouterr()
    return run_folder("kept")


def results(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / "geometry.json").read_text())
    return {encoder["name"]: encoder for encoder in content["encoders"]}


def test_encoders_are_measured_beside_each_other(
    trained: Path, lm_folder: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = tmp_path / "out"
    kl = f"kl={trained / 'encoder'}"
    given = ["--encoder", kl, "--encoder", str(lm_folder), "--dtype", "float32"]
    main(["analyze", *given, "--texts", str(corpus), "--held_out", "1", "--count", "50", "--output", str(output)])
    printed = capsys.readouterr().out
    assert "Geometry of the embeddings of 50 texts" in printed
    assert "Not a fair comparison: training: pretrain_compress (kl); none" in printed
    measured = results(output)
    assert list(measured) == ["kl", lm_folder.name]
    for name in ("pdf", "png"):
        assert (output / f"geometry.{name}").stat().st_size > 10_000

    # The numbers are those of what the folder holds, encoded anew.
    encoder = Encoder.from_pretrained(trained / "encoder", dtype="float32")
    texts = held_out_texts(str(corpus), 1, 50, 6)
    embeddings = torch.as_tensor(encoder.encode(texts, normalize_embeddings=True))
    first, second = (torch.as_tensor(encoder.encode(part)) for part in halves(texts))
    kl_measured = measured["kl"]
    assert kl_measured["effective_rank"] == pytest.approx(effective_dimension(embeddings).item(), rel=1e-4)
    assert kl_measured["alignment"] == pytest.approx(alignment(first, second).item(), rel=1e-4)
    memory = memory_states(encoder, texts)
    assert kl_measured["memory_correlation"] == pytest.approx(pairwise_correlation(memory).item(), rel=1e-4)
    assert np.shape(kl_measured["memory_correlations"]) == (3, 3)
    assert kl_measured["hidden_size"] == len(kl_measured["spectrum"]) == 32
    assert measured[lm_folder.name]["memory_correlation"] is None


def test_memory_states_are_those_that_are_pooled(trained: Path):
    encoder = Encoder.from_pretrained(trained / "encoder", dtype="float32")
    texts = [f"word {'text ' * n}" for n in range(1, 21)]
    pooled = memory_states(encoder, texts).mean(dim=1)
    np.testing.assert_allclose(pooled, encoder.encode(texts), atol=1e-4)


def test_a_run_is_measured_before_training_and_at_its_checkpoints(
    trained: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    steps = {path.stem: torch.load(path, weights_only=True)["global_step"] for path in trained.glob("checkpoints/*")}
    assert 0 < steps["best"] < steps["last"] == 12
    main(["analyze", "--checkpoints", str(trained), "--texts", str(corpus), "--count", "20", "--output", str(tmp_path)])
    names = [f"a, step {step}" for step in (0, steps["best"], 12)]
    measured = {each["name"]: each for each in json.loads((tmp_path / "geometry.json").read_text())["runs"]["a"]}
    assert list(measured) == names
    assert [each["step"] for each in measured.values()] == [0, steps["best"], 12]
    assert FAIR not in capsys.readouterr().out
    ranks = [measured[name]["effective_rank"] for name in names]
    assert len(set(ranks)) == 3
    # What was exported is the best checkpoint.
    encoder = Encoder.from_pretrained(trained / "encoder", dtype="float32")
    exported = measure_geometry("", encoder, held_out_texts(str(corpus), 0.1, 20, 6))
    assert ranks[1] == pytest.approx(exported.effective_rank, rel=1e-3)
    assert ranks[0] != pytest.approx(exported.effective_rank, rel=1e-3)


def test_runs_are_drawn_over_their_steps(
    kept: Path,
    trained: Path,
    corpus: Path,
    tmp_path: Path,
    drawn: list[Figure],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("COLUMNS", "120")
    given = ["--checkpoints", str(kept), "--checkpoints", f"x/y={trained}", "--texts", str(corpus), "--count", "20"]
    main(["analyze", *given, "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    at = [printed.index(f"kept, step {step} ") for step in range(13)]
    assert at == sorted(at)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "geometry.json",
        *(f"{name}.{kind}" for name in ("geometry_kept", "geometry_x-y", "over_steps") for kind in ("pdf", "png")),
    }
    runs = json.loads((tmp_path / "out" / "geometry.json").read_text())["runs"]
    assert [each["step"] for each in runs["kept"]] == list(range(13))
    of_kept, of_trained, over_steps = drawn[::2]
    # The first, the last and some between.
    assert [line.get_label() for line in of_kept.axes[0].lines] == [f"step {step}" for step in (0, 2, 5, 7, 10, 12)]
    heatmaps = [axes.get_title().split("\n")[0] for axes in of_kept.axes if axes.images]
    assert heatmaps == [f"step {step}" for step in (0, 4, 8, 12)]
    assert len([axes for axes in of_trained.axes if axes.images]) == len(of_trained.axes[0].lines) == 3
    panels = {axes.get_title(loc="left"): axes for axes in over_steps.axes}
    assert len(panels) == 6
    first, second = panels["uniformity ↓"].lines
    assert (first.get_label(), second.get_label()) == ("kept", "x/y")
    assert first.get_xdata().tolist() == list(range(13))
    assert first.get_ydata().tolist() == [each["uniformity"] for each in runs["kept"]]


def test_two_runs_of_one_name_are_refused(trained: Path, corpus: Path):
    twice = ["--checkpoints", str(trained), "--checkpoints", str(trained)]
    with pytest.raises(UserError, match="two are called 'a'; give them names: --checkpoints NAME="):
        main(["analyze", *twice, "--texts", str(corpus), "--count", "2"])


def test_the_table_breaks_no_number_and_no_heading_in_80_columns(
    lm_folder: Path, corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    name = "a-name-of-thirty-characters-xx"
    main(["analyze", "--encoder", f"{name}={lm_folder}", "--texts", str(corpus), "--held_out", "1", "--count", "50"])
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    heading = next(i for i, line in enumerate(lines) if "participation" in line)
    assert lines[heading + 1].split() == ["rank", "ratio", "IsoScore", "alignment", "uniformity", "correlation"]
    row = next(i for i, line in enumerate(lines) if line.startswith(name[:10]))
    assert len(lines[row].split()) == 7
    assert name in "".join(line.split()[0] for line in lines[row : row + 3] if line.strip())


def test_few_texts_are_said_to_be_few(lm_folder: Path, corpus: Path, capsys: pytest.CaptureFixture[str]):
    for count, said in ((32, True), (33, False)):
        given = ["--encoder", str(lm_folder), "--texts", str(corpus), "--held_out", "1", "--count", str(count)]
        main(["analyze", *given])
        assert ("Few texts for the dimensions" in capsys.readouterr().out) is said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to analyze"),
        (["--checkpoints", "nowhere"], "nowhere is not the folder of a run"),
        (["--encoder", "{lm}", "--encoder", "{lm}"], "give them names: --encoder NAME="),
        (["--encoder", "{lm}", "--count", "1"], "needs two texts at least, not 1"),
        (["--encoder", "{lm}", "--texts", "no.txt"], "unknown file or folder of text"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(arguments: list[str], message: str, lm_folder: Path, corpus: Path):
    arguments = [argument.format(lm=lm_folder) for argument in arguments]
    texts = [] if "--texts" in arguments else ["--texts", str(corpus)]
    with pytest.raises(UserError, match=message):
        main(["analyze", *texts, *arguments])
