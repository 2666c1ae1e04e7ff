"""The exported folder: what is in it, and that it is whole whatever happens while it is written."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedModel

from llm2comp.encoder import export
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.tokenization import memory_token_names
from llm2comp.errors import UserError
from tests.encoder.examples import (
    MODELS,
    TEXTS,
    K,
    reopened,
    tiny_encoder,
    tiny_folder,
    weights,
)


@pytest.mark.parametrize("name", ["llama", "llama tied", "qwen3, more rows than tokens"])
def test_exported_loaded_and_exported_again_is_the_same_folder(name: str, tmp_path: Path):
    model_type, overrides = MODELS[name]
    encoder = tiny_encoder(tiny_folder(tmp_path / "lm", model_type, **overrides), K, memory_scale=0.7)
    encoder.save_pretrained(tmp_path / "first")
    reopened(tmp_path / "first").save_pretrained(tmp_path / "second")
    torch.testing.assert_close(weights(tmp_path / "second"), weights(tmp_path / "first"), rtol=0, atol=0)
    names = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(tmp_path / "second") for p in (tmp_path / "second").rglob("*") if p.is_file())
    for name in names:
        if name.suffix != ".safetensors":
            assert (tmp_path / "first" / name).read_text() == (tmp_path / "second" / name).read_text(), name


def test_the_folder_says_what_it_is(llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, K)
    encoder.config.stages.append({"stage": "pretrain_compress", "steps": 7})
    encoder.encode(TEXTS)
    encoder.save_pretrained(tmp_path / "encoder")
    card = (tmp_path / "encoder" / "README.md").read_text()
    assert f"# A text encoder made from {llama}" in card
    assert '"steps": 7' in card
    assert json.loads((tmp_path / "encoder" / "config.json").read_text())["is_causal"] is False
    saved = json.loads((tmp_path / "encoder" / "tokenizer.json").read_text())
    assert (saved["truncation"], saved["padding"]) == (None, None)  # encoding has left nothing behind
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "encoder")
    assert tokenizer.model_max_length == 64
    assert tokenizer.convert_ids_to_tokens(tokenizer("")["input_ids"]) == ["<s>", *memory_token_names(K)]


@pytest.fixture
def old(llama: Path, tmp_path: Path) -> Path:
    tiny_encoder(llama, 2).save_pretrained(tmp_path / "runs" / "encoder")
    return tmp_path / "runs" / "encoder"


def test_an_encoder_folder_is_replaced(old: Path, llama: Path):
    (old / "stale.txt").touch()
    tiny_encoder(llama, K).save_pretrained(old)
    assert reopened(old).num_memory_tokens == K
    assert not (old / "stale.txt").exists()
    assert [path.name for path in old.parent.iterdir()] == ["encoder"]
    assert old.stat().st_mode & 0o444 == 0o444


def test_through_a_link_too(old: Path, llama: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(old)
    tiny_encoder(llama, K).save_pretrained(tmp_path / "link")
    assert reopened(old).num_memory_tokens == K


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error")])
@pytest.mark.parametrize("where", ["weights", "config", "replace"])
def test_a_failure_leaves_the_old_folder_whole(
    where: str, error: Exception, old: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
):
    encoder = tiny_encoder(llama, K)
    if where == "replace" and isinstance(error, SafetensorError):
        error = OSError(5, "Input/output error")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        if where == "weights":
            patch.setattr(PreTrainedModel, "save_pretrained", fail)
        elif where == "config":
            patch.setattr(EncoderConfig, "save", fail)
        else:
            replace = export.os.replace
            patch.setattr(
                export.os, "replace", lambda a, b: fail() if (Path(a).name, b) == ("new", old) else replace(a, b)
            )
        with pytest.raises(UserError, match=f"the encoder could not be written to {old}"):
            encoder.save_pretrained(old)
    assert reopened(old).num_memory_tokens == 2
    assert [path.name for path in old.parent.iterdir()] == ["encoder"]


def test_an_interruption_leaves_nothing_behind(old: Path, llama: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(EncoderConfig, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny_encoder(llama, K).save_pretrained(old)
    assert reopened(old).num_memory_tokens == 2
    assert [path.name for path in old.parent.iterdir()] == ["encoder"]


def test_a_folder_of_something_else_is_refused(llama: Path, tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").touch()
    (tmp_path / "file").touch()
    for name in ("thesis", "file"):
        with pytest.raises(UserError, match=f"{tmp_path / name} exists and is not an encoder folder"):
            tiny_encoder(llama, K).save_pretrained(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter1.tex").exists()
    (tmp_path / "empty").mkdir()
    tiny_encoder(llama, K).save_pretrained(tmp_path / "empty")


def test_a_folder_that_cannot_be_made_is_a_clear_error(llama: Path, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="the encoder could not be written to"):
        tiny_encoder(llama, K).save_pretrained(tmp_path / "file" / "encoder")
