"""Loading a model: what is there loads and is proven, what is not says what to do."""

import importlib.util
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM

from llm2comp.backbone.loading import fast_dtype, load_config, load_lm, load_tokenizer
from llm2comp.backbone.spec import ModelSpec, resolve
from llm2comp.errors import UserError
from tests.tiny import tiny_architecture, tiny_config, tiny_lm, tiny_tokenizer


def load(folder: Path | ModelSpec, **options):
    return load_lm(folder if isinstance(folder, ModelSpec) else resolve(folder), torch.float32, **options)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of a tiny model that a test is free to damage."""
    tiny_lm(tiny_config("llama")).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def test_a_folder_loads_in_evaluation_mode_and_the_named_type(lm_folder: Path):
    lm = load_lm(resolve(lm_folder), torch.bfloat16)
    assert lm.dtype == torch.bfloat16
    assert not lm.training
    assert lm.config._attn_implementation == "sdpa"
    assert load(lm_folder, attention="eager").config._attn_implementation == "eager"
    assert load_tokenizer(resolve(lm_folder))("a")["input_ids"] == tiny_tokenizer()("a")["input_ids"]


def test_gemma2_falls_back_to_eager_attention(tmp_path: Path):
    tiny_architecture("gemma2").save_pretrained(tmp_path)
    assert load(tmp_path).config._attn_implementation == "eager"


def test_an_architecture_that_stays_causal_is_refused(tmp_path: Path):
    tiny_lm(tiny_config("stablelm")).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"stablelm .* cannot be made bidirectional"):
        load(tmp_path)


@pytest.mark.parametrize("architecture", ["BertForMaskedLM", "BertModel"])
def test_bert_is_refused(architecture: str, tmp_path: Path):
    tiny_lm(tiny_config("bert")).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    with pytest.raises(UserError, match="not a decoder-only language model"):
        load(tmp_path)


def test_t5_is_refused(tmp_path: Path):
    config = tiny_config("t5", d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="T5ForConditionalGeneration, not a decoder-only language model"):
        load(tmp_path)


def test_a_head_of_a_kind_not_known_is_refused(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    forward = torch.nn.Linear.forward
    monkeypatch.setattr(
        torch.nn.Linear, "forward", lambda self, x: forward(self, x) ** (3 if len(self.weight) > 300 else 1)
    )
    with pytest.raises(UserError, match=r"llama .* computes its logits in a way not supported"):
        load(lm_folder)


def damage(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "cut off":
        os.truncate(weights, 1000)
    elif how == "gone":
        weights.unlink()
    elif how in ("missing", "misshapen"):
        state = load_file(weights)
        name = "model.layers.1.mlp.up_proj.weight"
        state[name] = torch.zeros(3, 3)
        if how == "missing":
            del state[name]
        save_file(state, weights, {"format": "pt"})
    else:
        config = json.loads((folder / "config.json").read_text())
        config["model_type"] = "nonsense"
        (folder / "config.json").write_text("{" if how == "not json" else json.dumps(config))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut off", "cannot be loaded from"),
        ("gone", "cannot be loaded from .*no file named"),
        ("missing", r"lacks 1 weights of a LlamaForCausalLM, such as model.layers.1.mlp.up_proj.weight"),
        ("misshapen", "cannot be loaded from"),
        ("not json", "cannot be loaded from .*not a valid JSON"),
        ("unknown type", "cannot be loaded from .*nonsense"),
    ],
)
def test_a_damaged_folder_is_an_error_that_names_it(how: str, message: str, broken: Path):
    damage(broken, how)
    with pytest.raises(UserError, match=message) as error:
        load(broken)
    assert str(broken) in str(error.value)


def test_a_damaged_tokenizer_is_an_error(broken: Path):
    (broken / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded from"):
        load_tokenizer(resolve(broken))


def test_a_gguf_file_that_is_none_is_an_error(tmp_path: Path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(UserError, match=r"model.gguf cannot be loaded from"):
        load(tmp_path / "model.gguf")


def test_without_the_hub_the_error_says_what_to_set():
    """HF_HUB_OFFLINE is set for all tests, so nothing is asked of the network."""
    spec = resolve("nobody/no-such-model")
    for attempt in (load_config, load_tokenizer, load):
        with pytest.raises(UserError, match="cannot be had from the Hugging Face hub") as error:
            attempt(spec)
        for hint in ("HF_HOME", "HF_HUB_OFFLINE=1", "embedded:smollm2-135m", "hf auth login"):
            assert hint in str(error.value)


def test_an_unknown_attention_is_an_error(lm_folder: Path):
    with pytest.raises(UserError, match="attn_implementation"):
        load(lm_folder, attention="nonsense")


def test_four_bits_need_a_gpu(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"4-bit weights.* need a CUDA GPU; leave --model.quantization unset"):
        load(lm_folder, quantization="4bit")


def test_four_bits_need_bitsandbytes(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="need bitsandbytes"):
        load(lm_folder, quantization="4bit")


def test_a_tokenizer_that_is_not_fast_is_refused(lm_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(tiny_tokenizer()), "is_fast", False)
    with pytest.raises(UserError, match="has no fast tokenizer"):
        load_tokenizer(resolve(lm_folder))


def test_dtype_as_named_or_as_the_machine_multiplies(monkeypatch: pytest.MonkeyPatch):
    assert fast_dtype("float32") == torch.float32
    assert fast_dtype("bfloat16") == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for capability, expected in (({}, torch.float32), ({"amx_bf16": True}, torch.bfloat16)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capability: found)
        assert fast_dtype() == expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, found=native: found)
        assert fast_dtype() == (torch.bfloat16 if native else torch.float32)
