"""An exported folder gives the same vectors in this package, in transformers and in sentence-transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from llm2comp.backbone.spec import resolve
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.export import exported_lm
from llm2comp.encoder.loading import build_encoder
from llm2comp.encoder.tokenization import memory_token_ids
from tests.encoder.examples import (
    CLOSE,
    MODELS,
    TEXTS,
    TOKENS,
    K,
    in_sentence_transformers,
    reopened,
    tiny_encoder,
    tiny_folder,
    weights,
)
from tests.encoder.test_tokenization import llama_tokenizer, wrapping_tokenizer
from tests.tiny import ARCHITECTURES


def in_transformers(folder: Path, k: int) -> np.ndarray:
    """The mean over the memory positions, by hand."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    memory = torch.isin(batch["input_ids"], torch.tensor(memory_token_ids(tokenizer, k)))
    assert (memory.sum(-1) == k).all()
    return states[memory].view(len(TEXTS), k, -1).mean(1).numpy()


@pytest.mark.parametrize("name", MODELS)
def test_the_same_vectors_wherever_it_is_opened(name: str, tmp_path: Path):
    model_type, overrides = MODELS[name]
    encoder = tiny_encoder(tiny_folder(tmp_path / "lm", model_type, **overrides), K)
    before = encoder.encode(TEXTS)
    encoder.save_pretrained(tmp_path / "encoder")
    np.testing.assert_array_equal(encoder.encode(TEXTS), before)  # export changes nothing
    assert len(encoder.tokenizer(TEXTS[2])["input_ids"]) > encoder.max_text_tokens  # one text is cut
    np.testing.assert_allclose(reopened(tmp_path / "encoder").encode(TEXTS), before, **CLOSE)
    np.testing.assert_allclose(in_transformers(tmp_path / "encoder", K), before, **CLOSE)
    np.testing.assert_allclose(in_sentence_transformers(tmp_path / "encoder"), before, **CLOSE)


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("k", [0, K])
@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last", "memory_mean"])
def test_every_pooling_sentence_transformers_has(pooling: str, k: int, direction: str, llama: Path, tmp_path: Path):
    if k == 0 and pooling == "memory_mean":
        pooling = "last"
    encoder = tiny_encoder(llama, k, pooling, direction=direction)
    before = encoder.encode(TEXTS)
    encoder.save_pretrained(tmp_path / "encoder")
    np.testing.assert_allclose(in_sentence_transformers(tmp_path / "encoder"), before, **CLOSE)
    again = reopened(tmp_path / "encoder")
    np.testing.assert_allclose(again.encode(TEXTS), before, **CLOSE)
    assert again.config == encoder.config


@pytest.mark.parametrize(
    ("pooling", "options"),
    [
        ("memory_cluster", {}),
        ("memory_mean", {"memory_positions": "spread"}),
        ("mean", {"pool_instructions": False}),
        ("weighted_mean", {"pool_instructions": False}),
    ],
)
def test_what_sentence_transformers_cannot_express_it_refuses(
    pooling: str, options: dict, llama: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    encoder = tiny_encoder(llama, K, pooling, **options)
    before = encoder.encode(TEXTS)
    encoder.save_pretrained(tmp_path / "encoder")
    assert "sentence-transformers cannot express" in caplog.text
    np.testing.assert_allclose(reopened(tmp_path / "encoder").encode(TEXTS), before, **CLOSE)
    with pytest.raises(Exception, match=r"llm2comp\.Encoder"):
        SentenceTransformer(str(tmp_path / "encoder"), device="cpu")


@pytest.mark.parametrize(
    ("k", "pooling", "pool_instructions"),
    [(K, "memory_mean", True), (K, "memory_mean", False), (K, "mean", True), (0, "mean", False), (0, "last", False)],
)
def test_instructions_are_read_alike(k: int, pooling: str, pool_instructions: bool, llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, k, pooling, prompts={"query": "Find it: "}, pool_instructions=pool_instructions)
    encoder.save_pretrained(tmp_path / "encoder")
    # Of an instruction alone, pooled without its tokens, sentence-transformers makes the zero vector.
    some = TEXTS if pool_instructions else [text for text in TEXTS if text]
    for texts in (some, ["x"]):
        with_prompt = encoder.encode(texts, prompt_name="query")
        found = in_sentence_transformers(tmp_path / "encoder", texts, prompt_name="query")
        np.testing.assert_allclose(found, with_prompt, **CLOSE)
    assert np.abs(encoder.encode(TEXTS) - encoder.encode(TEXTS, prompt_name="query")).max() > 1e-3


@pytest.mark.parametrize("make_tokenizer", [llama_tokenizer, wrapping_tokenizer])
@pytest.mark.parametrize("k", [0, K])
def test_tokenizers_with_a_mind_of_their_own(make_tokenizer, k: int, tmp_path: Path):
    """One whose class makes its template anew, one with an EOS after each text and a chat template."""
    folder = tiny_folder(tmp_path / "lm")
    (folder / "tokenizer_config.json").unlink()
    make_tokenizer().save_pretrained(folder)
    encoder = tiny_encoder(folder, k, "memory_mean" if k else "mean")
    before = encoder.encode(TEXTS)
    encoder.save_pretrained(tmp_path / "encoder")
    np.testing.assert_allclose(reopened(tmp_path / "encoder").encode(TEXTS), before, **CLOSE)
    np.testing.assert_allclose(in_sentence_transformers(tmp_path / "encoder"), before, **CLOSE)
    if k:
        np.testing.assert_allclose(in_transformers(tmp_path / "encoder", k), before, **CLOSE)
    assert AutoTokenizer.from_pretrained(tmp_path / "encoder").chat_template is None


@torch.no_grad()
@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_weights_are_the_merged_ones_and_the_memory_rows(model_type: str, tmp_path: Path):
    encoder = tiny_encoder(tiny_folder(tmp_path, model_type), K)
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    plain = exported_lm(encoder, [384, 385, 386])
    assert plain.get_input_embeddings().weight[384:].equal(encoder.memory.rows)
    merged = encoder.backbone.merged_state_dict()
    for name, tensor in plain.state_dict().items():
        assert tensor[: len(merged[name])].equal(merged[name]), name
    head, embeddings = plain.get_output_embeddings().weight, plain.get_input_embeddings().weight
    assert (head is embeddings) == plain.config.tie_word_embeddings
    assert head is embeddings or head[384:].eq(0).all()
    torch.testing.assert_close(dict(encoder.state_dict()), state, rtol=0, atol=0)


def test_a_vocabulary_with_room_does_not_grow(tmp_path: Path):
    encoder = tiny_encoder(tiny_folder(tmp_path / "lm", vocab_size=TOKENS + 16), K)
    embeddings = encoder.backbone.lm.get_input_embeddings().weight
    before = embeddings.clone()
    encoder.save_pretrained(tmp_path / "encoder")
    assert embeddings.equal(before)
    saved = load_file(tmp_path / "encoder" / "model.safetensors")["model.embed_tokens.weight"]
    assert saved.shape == (TOKENS + 16, 32)
    assert saved[:TOKENS].equal(before[:TOKENS])
    assert saved[TOKENS : TOKENS + K].equal(encoder.memory.rows)
    assert saved[TOKENS + K :].equal(before[TOKENS + K :])


def test_full_training_and_bfloat16_export_too(llama: Path, tmp_path: Path):
    encoder = tiny_encoder(llama, K, dtype=torch.bfloat16)
    encoder.save_pretrained(tmp_path / "half")
    assert {tensor.dtype for tensor in weights(tmp_path / "half").values()} == {torch.bfloat16}
    opened = Encoder.from_pretrained(tmp_path / "half", dtype="bfloat16", device="cpu").encode(TEXTS)
    np.testing.assert_allclose(opened, encoder.encode(TEXTS), rtol=0.1, atol=0.1)

    plain = build_encoder(resolve(llama), EncoderConfig(K, "memory_mean", base=str(llama)), torch.bfloat16)
    plain.backbone.make_trainable(None, keep_decoder=True)
    plain.save_pretrained(tmp_path / "full")
    assert {tensor.dtype for tensor in weights(tmp_path / "full").values()} == {torch.float32}
    assert sum(tensor.numel() for tensor in weights(tmp_path / "full").values()) < 60_000  # one copy, not the decoder's
