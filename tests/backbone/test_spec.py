"""What the name of a model may be, and what is said when it is none of those."""

from pathlib import Path

import pytest

from llm2comp.backbone import spec
from llm2comp.backbone.spec import ModelSpec, resolve
from llm2comp.errors import UserError


def test_a_folder(lm_folder: Path):
    assert resolve(lm_folder) == ModelSpec(str(lm_folder), str(lm_folder))
    assert resolve(str(lm_folder)).is_local
    assert resolve(lm_folder).kwargs() == {}


def test_a_folder_in_the_home_directory(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(lm_folder.parent))
    assert resolve(f"~/{lm_folder.name}").path == str(lm_folder)


def test_a_gguf_file(tmp_path: Path):
    file = tmp_path / "model.Q4_1.gguf"
    file.touch()
    found = resolve(file)
    assert (found.path, found.kwargs()) == (str(tmp_path), {"gguf_file": "model.Q4_1.gguf"})
    assert found.is_local


def test_a_hub_id():
    assert resolve("Qwen/Qwen3-0.6B") == ModelSpec("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B")
    pinned = resolve("HuggingFaceTB/SmolLM2-135M@v1.0")
    assert (pinned.path, pinned.kwargs()) == ("HuggingFaceTB/SmolLM2-135M", {"revision": "v1.0"})
    assert not pinned.is_local


def test_an_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spec, "embedded_folder", lambda model: tmp_path / model)
    assert resolve("embedded:smollm2-135m").path == str(tmp_path / "smollm2-135m")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embedded:smolm2-135m", "unknown model 'embedded:smolm2-135m'; did you mean 'embedded:smollm2-135m'"),
        ("embeded:smollm2-135m", "no model 'embeded:smollm2-135m'; did you mean 'embedded:smollm2-135m'"),
        ("llama", r"no model 'llama'.*\(a model is a folder, a .gguf file, a hub id such as"),
        ("{tmp}/encodr", "no model .*; did you mean '{tmp}/encoder'"),
        ("{tmp}/encoder/nothing/here", "no model"),
        ("{tmp}/modle.gguf", "no model .*; did you mean '{tmp}/model.gguf'"),
        ("model.gguf", "no model 'model.gguf'"),
        ("{tmp}/encoder", "is not a model folder: it holds no config.json"),
        ("{tmp}/run", "it holds no config.json; did you mean '{tmp}/run/encoder'"),
        ("{tmp}/notes.txt", "is a file but not a .gguf file"),
        ("a/b/c", "no model 'a/b/c'"),
    ],
)
def test_what_is_no_model(name: str, message: str, tmp_path: Path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "run" / "encoder").mkdir(parents=True)
    (tmp_path / "run" / "encoder" / "config.json").touch()
    (tmp_path / "model.gguf").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=message.replace("{tmp}", str(tmp_path))):
        resolve(name.replace("{tmp}", str(tmp_path)))
