"""What a finished run has measured of its encoder, and that it is finished only when all of it is there."""

import csv
import importlib.util
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb

from llm2comp.cli import main
from llm2comp.encoder.encoder import Encoder
from llm2comp.evaluation.sts import spearman, sts_pairs
from llm2comp.reporting.results import RunResults
from tests.cli.conftest import Arguments

Folder = Callable[[str], Path]
Refused = Callable[[list[str]], str]

SHORT = ("--run", "a", "--trainer.max_steps", "7")


@pytest.fixture
def mirror(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small mirror of three MTEB tasks."""
    pytest.importorskip("mteb", reason="the extra `eval` is not installed")
    from tests.evaluation.mteb.examples import write_mirror

    write_mirror(workplace / "data" / "mirror")
    sts = workplace / "data" / "mirror" / "mteb" / "stsbenchmark-sts"
    shutil.copytree(sts / "default", sts, dirs_exist_ok=True)
    shutil.copy(sts / "test.jsonl", sts / "validation.jsonl")  # which training watches
    monkeypatch.setenv("LLM2COMP_DATA", "data")
    return workplace / "data" / "mirror"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_metrics_are_those_of_the_exported_checkpoint(arguments: Arguments, run_folder: Folder):
    # By a measure that the first validation is the best by.
    main(arguments("--run", "a", "--monitor", "val/loss", "--monitor_mode", "max"))
    folder = run_folder("a")
    results = RunResults.load(folder)
    best = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["global_step"]
    assert best < results.training["steps"] == 12
    (row,) = [row for row in rows(folder) if row["step"] == str(best - 1) and row["val/loss"]]
    assert results.metrics["val/loss"] == float(row["val/loss"])
    assert results.metrics["val/context_recovered"] == float(row["val/context_recovered"])
    (trained,) = [row for row in rows(folder) if row["step"] == str(best - 1) and row["train/loss"]]
    assert results.metrics["train/loss"] == float(trained["train/loss"])
    assert "epoch" not in results.metrics
    assert results.training.keys() == {"steps", "tokens", "examples", "checksum"}


def test_without_a_best_checkpoint_they_are_those_of_the_last_weights(arguments: Arguments, run_folder: Folder):
    main(arguments(*SHORT, "--trainer.enable_checkpointing", "false"))
    last = [row for row in rows(run_folder("a")) if row["step"] == "6" and row["val/loss"]]
    assert RunResults.load(run_folder("a")).metrics["val/loss"] == float(last[-1]["val/loss"])


def test_geometry_is_measured_and_drawn(arguments: Arguments, run_folder: Folder):
    main(arguments(*SHORT, "--trainer.logger", "false"))
    results = RunResults.load(run_folder("a"))
    assert results.metrics == results.scores == {}
    assert results.sts_test_spearman is None
    assert results.geometry.keys() == {
        *("effective_rank", "participation_ratio", "isoscore", "alignment", "uniformity", "memory_correlation")
    }
    assert all(map(math.isfinite, results.geometry.values()))
    assert (run_folder("a") / "geometry.png").read_bytes().startswith(b"\x89PNG")


def test_without_held_out_text_there_is_no_geometry(arguments: Arguments, run_folder: Folder):
    main(arguments(*SHORT, "--trainer.logger", "false", "--data.validation_fraction", "0"))
    assert RunResults.load(run_folder("a")).geometry == {}


def test_the_exported_encoder_is_scored(arguments: Arguments, run_folder: Folder, mirror: Path):
    main(arguments(*SHORT, "--trainer.logger", "false", "--evaluate_on", "BIOSSES,STSBenchmark"))
    results = RunResults.load(run_folder("a"))
    assert results.scores.keys() == {"BIOSSES", "STSBenchmark"}
    pairs = sts_pairs("test")
    assert pairs is not None
    encoder = Encoder.from_pretrained(run_folder("a") / "encoder", dtype="float32")
    assert results.scores["STSBenchmark"] == pytest.approx(spearman(encoder, pairs), abs=1e-3)
    assert results.sts_test_spearman == pytest.approx(results.scores["STSBenchmark"], abs=1e-3)


def test_wandb_has_the_results(arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    main(arguments(*SHORT, "--log_encoder", "true"))
    assert wandb.run is not None
    summary, results = wandb.run.summary, RunResults.load(run_folder("a"))
    assert summary["best/val/loss"] == results.metrics["val/loss"]
    assert summary["geometry/isoscore"] == results.geometry["isoscore"]
    assert summary["training/checksum"] == results.training["checksum"]
    assert dict(wandb.run.config)["corpus"] == {key: results.training[key] for key in ("examples", "checksum")}
    wandb.finish()
    media = {path.parent.name for path in run_folder("a").glob("wandb/offline-run-*/files/media/*/*")}
    assert media == {"images", "table"}


def test_the_stage_before_is_told(arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    main(arguments(*SHORT, "--trainer.logger", "false"))
    main(arguments("--run", "b", "--trainer.max_steps", "2", "--model.encoder", str(run_folder("a") / "encoder")))
    assert wandb.run is not None
    start = dict(wandb.run.config)["start"]
    assert (start["name"], start["stages"]) == ("pretrain_compress/a", ["pretrain_compress"])
    assert start["artifact"].startswith("encoder-")


class Interrupted(Exception):
    """The process is gone."""


def test_a_run_is_finished_when_everything_else_is_there(
    arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    before: set[str] = set()
    save = RunResults.save

    def saved(self: RunResults, folder: Path) -> None:
        before.update(path.name for path in folder.iterdir())
        save(self, folder)

    monkeypatch.setattr(RunResults, "save", saved)
    main(arguments(*SHORT))
    assert {"encoder", "curves.png", "geometry.png"} <= before
    assert "results.json" not in before


def test_one_that_was_stopped_while_it_was_measured_is_measured_when_it_is_resumed(
    arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    def measure(*_: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("llm2comp.cli.finish.measure", measure)
        with pytest.raises(Interrupted):
            main(arguments(*SHORT))
    assert not (run_folder("a") / "results.json").exists()
    main(arguments(*SHORT, "--ckpt_path", "last"))
    results = RunResults.load(run_folder("a"))
    assert results.training["steps"] == 7
    assert "val/loss" in results.metrics


def test_one_that_trains_on_is_not_finished_any_more(
    arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    main(arguments(*SHORT, "--trainer.logger", "false"))
    assert (run_folder("a") / "results.json").is_file()

    def step(*_: Any) -> None:
        raise Interrupted

    monkeypatch.setattr("llm2comp.modules.token_count.TokenCount.on_train_batch_end", step)
    with pytest.raises(Interrupted):
        main(arguments(*SHORT, "--trainer.logger", "false", "--ckpt_path", "last", "--trainer.max_steps", "12"))
    assert not (run_folder("a") / "results.json").exists()


def test_what_keeps_it_from_being_scored_is_told_before_training(
    arguments: Arguments, refused: Refused, mirror: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
):
    quiet = ("--trainer.logger", "false")
    assert "unknown task or set of tasks 'STSBenchmrk'; did you mean 'STSBenchmark'" in refused(
        arguments(*quiet, "--evaluate_on", "STSBenchmrk")
    )
    shutil.rmtree(mirror / "mteb" / "biosses-sts")
    assert "llm2comp data mirror --tasks BIOSSES" in refused(arguments(*quiet, "--evaluate_on", "STSBenchmark,BIOSSES"))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "llm2comp.evaluation.mteb.library.find_spec", lambda name: None if name == "mteb" else find(name)
    )
    assert "pip install 'llm2comp[eval]'" in refused(arguments(*quiet, "--evaluate_on", "BIOSSES"))
    assert not (workplace / "lightning_logs").exists()
