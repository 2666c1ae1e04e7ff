"""In W&B a run is linked to the encoder that it starts from and to the one that it makes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import wandb
from lightning.pytorch import Trainer
from PIL import Image
from torch import nn

from llm2comp.encoder.config import EncoderConfig
from llm2comp.reporting.encoder_artifact import artifact_name
from llm2comp.reporting.results import RunResults
from llm2comp.reporting.run_logger import RunLogger
from llm2comp.reporting.run_record import RunRecord
from llm2comp.reporting.wandb_results import log_results


class Recorder(RunLogger):
    """Has its run as a plain object, that keeps what it is given."""

    def __init__(self, offline: bool = False, sent: bool = True) -> None:
        super().__init__(mode="offline" if offline else "online")
        self.used: list[str] = []
        self.logged: dict[str, Any] = {}
        self.artifacts: list[wandb.Artifact] = []
        self.run = SimpleNamespace(
            offline=offline,
            config=SimpleNamespace(update=lambda values, **_: self.logged.update(values)),
            summary=self.logged,
            log=self.logged.update,
            log_artifact=self.artifacts.append,
            use_artifact=self.used.append if sent else self._refuse,
        )

    def attempt(self, record: Any) -> None:
        record(self.run)

    def _refuse(self, name: str) -> None:
        raise wandb.errors.CommError(f"there is no {name}")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """The encoder folder that a run left."""
    folder = tmp_path / "pretrain_compress" / "first" / "encoder"
    folder.mkdir(parents=True)
    EncoderConfig(base="~/tiny", stages=[{"stage": "pretrain_compress"}]).save(folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def start(logger: Recorder, encoder: Path) -> None:
    trainer = SimpleNamespace(loggers=[logger], datamodule=SimpleNamespace(training_corpus={"checksum": "00ff"}))
    record = RunRecord(str(encoder), EncoderConfig.load(encoder))
    record.on_train_start(cast(Trainer, trainer), cast(Any, nn.Linear(2, 3)))


def test_the_encoder_of_the_stage_before_is_used(encoder: Path):
    logger = Recorder()
    start(logger, encoder)
    assert logger.used == [f"{artifact_name(encoder)}:latest"]
    assert logger.logged["start"] == {
        "name": "pretrain_compress/first",
        "stages": ["pretrain_compress"],
        "artifact": artifact_name(encoder),
    }
    assert (logger.logged["corpus"], logger.logged["trainable_parameters"]) == ({"checksum": "00ff"}, 9)


@pytest.mark.parametrize(("offline", "sent"), [(True, True), (False, False)])
def test_one_that_the_server_does_not_know_is_only_named(encoder: Path, offline: bool, sent: bool):
    logger = Recorder(offline, sent)
    start(logger, encoder)
    assert logger.used == []
    assert logger.logged["start"]["artifact"] == artifact_name(encoder)


@pytest.mark.parametrize(("with_encoder", "files"), [(False, set()), (True, {"llm2comp.json", "model.safetensors"})])
def test_the_encoder_and_the_pictures_are_logged(encoder: Path, with_encoder: bool, files: set[str]):
    logger, picture = Recorder(), encoder.parent / "geometry.png"
    Image.new("RGB", (2, 2)).save(picture)
    results = RunResults({"val/loss": 0.5}, {"steps": 7}, {"BIOSSES": 70.0}, 60.0, {"isoscore": 0.1})
    log_results([logger], results, [picture], encoder, with_encoder)
    (artifact,) = logger.artifacts
    assert artifact.name == artifact_name(encoder)
    assert set(artifact.manifest.entries) == files
    assert isinstance(logger.logged.pop("geometry"), wandb.Image)
    assert logger.logged == {
        **{"best/val/loss": 0.5, "training/steps": 7, "score/BIOSSES": 70.0},
        **{"sts_test_spearman": 60.0, "geometry/isoscore": 0.1},
    }
