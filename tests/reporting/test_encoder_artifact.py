"""An encoder goes by its content in W&B, wherever it lies."""

import shutil
from pathlib import Path

import pytest

from llm2comp.encoder.config import EncoderConfig
from llm2comp.reporting.encoder_artifact import artifact_name, encoder_artifact, encoder_checksum


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "encoder"
    (folder / "1_WordWeights").mkdir(parents=True)
    EncoderConfig(base="~/tiny", stages=[{"stage": "pretrain", "token": "planted"}]).save(folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "1_WordWeights" / "model.safetensors").write_bytes(b"more")
    return folder


def test_a_copy_has_the_same_name_and_any_change_another(folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert encoder_checksum(copy) == encoder_checksum(folder)
    names = {artifact_name(copy)}
    (copy / "model.safetensors").write_bytes(b"Weights")
    names.add(artifact_name(copy))
    (copy / "model.safetensors").write_bytes(b"weights")
    (copy / "1_WordWeights" / "model.safetensors").rename(copy / "1_WordWeights" / "other.safetensors")
    names.add(artifact_name(copy))
    assert len(names) == 3


def test_the_record_is_sent_always_and_the_files_on_request(folder: Path):
    light, whole = encoder_artifact(folder, with_files=False), encoder_artifact(folder, with_files=True)
    assert light.name == whole.name == artifact_name(folder)
    assert light.metadata["base"] == "~/tiny"
    assert "planted" not in str(light.metadata)
    assert not light.manifest.entries
    assert set(whole.manifest.entries) == {"llm2comp.json", "model.safetensors", "1_WordWeights/model.safetensors"}
