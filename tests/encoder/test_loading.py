"""Opening encoder folders and bare language models, and the next stage on top of the last."""

from pathlib import Path

import numpy as np
import pytest
import torch

from llm2comp.backbone.lora import LoRA, lora_layers
from llm2comp.backbone.spec import resolve
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.loading import build_encoder
from llm2comp.errors import UserError
from tests.encoder.examples import (
    CLOSE,
    TEXTS,
    K,
    in_sentence_transformers,
    reopened,
    tiny_encoder,
    tiny_folder,
)
from tests.tiny import randomise_adapters


def test_a_learned_scale_is_kept(llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, K, memory_scale=1.0)
    with torch.no_grad():
        encoder.memory.scale.fill_(0.25)
    encoder.save_pretrained(tmp_path / "encoder")
    assert reopened(tmp_path / "encoder").memory.scale.item() == 0.25
    assert encoder.config.memory_scale == 1.0


def test_stages_chain_without_nesting_adapters(llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, K)
    encoder.config.stages.append({"stage": "pretrain_compress"})
    encoder.save_pretrained(tmp_path / "encoder")
    config = EncoderConfig.load(tmp_path / "encoder")
    second = build_encoder(resolve(tmp_path / "encoder"), config, torch.float32, with_decoder=True)
    np.testing.assert_allclose(second.encode(TEXTS), encoder.encode(TEXTS), **CLOSE)
    assert not lora_layers(second.backbone.lm)
    second.backbone.make_trainable(LoRA(rank=2), keep_decoder=True)
    assert len(lora_layers(second.backbone.lm)) == 14
    assert not any("base_layer.base_layer" in name or "base_layer.lora" in name for name, _ in second.named_modules())

    # The decoder is still the language model it all began with.
    original = build_encoder(resolve(llama), EncoderConfig(base=str(llama)), torch.float32).backbone.lm
    ids = torch.arange(3, 12)[None]
    with torch.no_grad():
        states = second.backbone.decode(second.backbone.decoder_embed(ids), torch.ones_like(ids))
        torch.testing.assert_close(states, original.base_model(ids).last_hidden_state, rtol=0, atol=0)
    assert second.backbone.head.vocab_size == 384

    randomise_adapters(second, std=0.05)
    third = tmp_path / "third"
    second.save_pretrained(third)
    np.testing.assert_allclose(reopened(third).encode(TEXTS), second.eval().encode(TEXTS), **CLOSE)
    np.testing.assert_allclose(in_sentence_transformers(third), second.encode(TEXTS), **CLOSE)
    assert np.abs(second.encode(TEXTS) - encoder.encode(TEXTS)).max() > 1e-3


def test_an_encoder_whose_base_is_gone_says_so(tmp_path: Path):
    folder = tiny_folder(tmp_path / "lm")
    tiny_encoder(folder, K).save_pretrained(tmp_path / "encoder")
    folder.rename(tmp_path / "moved")
    assert reopened(tmp_path / "encoder").encode("x").shape == (32,)
    config = EncoderConfig.load(tmp_path / "encoder")
    with pytest.raises(
        UserError, match=rf"{tmp_path}/encoder was made from {folder}, which its decoder needs: no model"
    ):
        build_encoder(resolve(tmp_path / "encoder"), config, torch.float32, with_decoder=True)


def test_options_replace_what_the_folder_says(llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, K)
    encoder.save_pretrained(tmp_path / "encoder")
    other = reopened(tmp_path / "encoder", pooling="last", max_length=32, direction="causal")
    assert (other.config.pooling, other.max_length, other.config.direction) == ("last", 32, "causal")
    assert other.num_memory_tokens == K
    expected = tiny_encoder(llama, K, "last", max_length=32, direction="causal").encode(TEXTS)
    np.testing.assert_allclose(other.encode(TEXTS), expected, **CLOSE)


def test_any_language_model_is_an_encoder_without_memory(llama: Path):
    encoder = reopened(llama)
    assert (encoder.num_memory_tokens, encoder.config.direction, encoder.config.pooling) == (0, "causal", "mean")
    assert encoder.encode(TEXTS).shape == (len(TEXTS), 32)
    assert not encoder.training
    with pytest.raises(UserError, match="pooling 'memory_mean' needs memory tokens"):
        reopened(llama, pooling="memory_mean")


def test_inputs_longer_than_learned_positions_are_refused(llama: Path, tmp_path: Path):
    gpt2 = tiny_folder(tmp_path / "gpt2", "gpt2")
    with pytest.raises(UserError, match="gpt2 reads at most 256 tokens; set max_length to that or less"):
        reopened(gpt2, max_length=257)
    assert reopened(gpt2, max_length=256).encode("word " * 500).shape == (32,)
    assert reopened(llama, max_length=300).encode("word " * 500).shape == (32,)
