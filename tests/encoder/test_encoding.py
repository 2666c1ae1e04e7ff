"""Encoding many texts: every kind of text, in any batch, in the order given."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from llm2comp.encoder import encoding
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.tokenization import left_pad, tokenize
from llm2comp.errors import UserError
from tests.encoder.examples import TEXTS, tiny_encoder, tiny_folder

MANY = [*TEXTS, *(f"Text number {i} of those that are short. " * (i % 5) for i in range(40))]


@pytest.fixture(scope="module")
def encoder(llama: Path) -> Encoder:
    return tiny_encoder(llama)


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return F.cosine_similarity(torch.as_tensor(first), torch.as_tensor(second), dim=-1).numpy()


def one_by_one(encoder: Encoder, texts: list[str]) -> np.ndarray:
    """The definition: each text alone, without padding."""
    with torch.no_grad():
        rows = tokenize(encoder.tokenizer, texts, encoder.max_text_tokens)
        return torch.cat([encoder.embed(*left_pad([row], 2)) for row in rows]).numpy()


@pytest.mark.parametrize(
    ("model_type", "overrides"),
    [
        ("llama", {}),
        ("qwen3", {}),
        ("gemma2", {}),
        ("gemma3_text", {"sliding_window": 5}),
        ("gpt_neox", {}),
        ("gpt2", {}),
        ("bloom", {}),
        ("mixtral", {}),
    ],
)
def test_each_text_has_the_same_vector_in_every_batch(model_type: str, overrides: dict, tmp_path: Path):
    encoder = tiny_encoder(tiny_folder(tmp_path, model_type, **overrides))
    expected = one_by_one(encoder, MANY)
    shuffled = np.random.default_rng(0).permutation(len(MANY))
    for budget in (None, 1, 200):
        found = encoder.encode([MANY[i] for i in shuffled], token_budget=budget)
        assert cosine(found, expected[shuffled]).min() >= 0.9999
        np.testing.assert_allclose(found, expected[shuffled], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "weighted_mean", "last", "memory_mean", "memory_cluster"])
@pytest.mark.parametrize("k", [0, 3])
def test_every_pooling_is_the_same_in_every_batch(pooling: str, k: int, llama: Path):
    if k == 0 and pooling.startswith("memory"):
        pooling = "mean"
    encoder = tiny_encoder(llama, k, pooling)
    np.testing.assert_allclose(encoder.encode(MANY), one_by_one(encoder, MANY), rtol=1e-4, atol=1e-5)


def test_float32_numpy_or_torch_of_one_or_many(encoder: Encoder):
    many = encoder.encode(TEXTS)
    assert isinstance(many, np.ndarray)
    assert many.dtype == np.float32
    assert many.shape == (len(TEXTS), 32)
    one = encoder.encode(TEXTS[0])
    assert one.shape == (32,)
    np.testing.assert_allclose(one, many[0], rtol=1e-4, atol=1e-5)
    tensor = encoder.encode(TEXTS, convert_to_tensor=True)
    assert tensor.device.type == "cpu"
    assert not tensor.requires_grad
    np.testing.assert_array_equal(tensor.numpy(), many)
    assert encoder.encode(TEXTS[0], convert_to_tensor=True).shape == (32,)
    assert encoder.encode([]).shape == (0, 32)
    assert encoder.encode(tuple(TEXTS)).shape == many.shape
    assert encoder.encode(np.array(TEXTS)).shape == many.shape


def test_bfloat16_weights_give_float32_vectors(llama: Path, encoder: Encoder):
    half = tiny_encoder(llama, dtype=torch.bfloat16)
    found = half.encode(TEXTS)
    assert found.dtype == np.float32
    assert cosine(found, encoder.encode(TEXTS)).min() > 0.99


def test_normalised_vectors_have_length_one(encoder: Encoder):
    plain, unit = encoder.encode(TEXTS), encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_different_texts_have_different_vectors(encoder: Encoder):
    assert len(np.unique(encoder.encode(TEXTS).round(3), axis=0)) == len(TEXTS)


def test_a_text_over_the_limit_is_cut_and_the_memory_tokens_stay(encoder: Encoder):
    words = [f"w{i} " for i in range(200)]
    text = "".join(words)
    tokens = encoder.tokenizer(text)["input_ids"]
    kept = encoder.tokenizer.decode(tokens[1 : encoder.max_text_tokens])
    before = encoder.encode(text)
    np.testing.assert_array_equal(encoder.encode(text + "and a different end"), before)
    np.testing.assert_allclose(encoder.encode(kept), before, rtol=1e-4, atol=1e-5)
    assert np.abs(encoder.encode("other " + text) - before).max() > 1e-3
    last_kept = kept[:-1] + ("x" if kept[-1] != "x" else "y")
    assert np.abs(encoder.encode(last_kept) - before).max() > 1e-4
    with torch.no_grad():
        encoder.memory.rows[-1] += 1
        changed = encoder.encode(text)
        encoder.memory.rows[-1] -= 1
    assert np.abs(changed - before).max() > 1e-3


def test_max_length_counts_bos_and_memory_tokens(encoder: Encoder):
    text = "a b c d e f g h i j k"
    tokens = encoder.tokenizer(text)["input_ids"]
    short = encoder.tokenizer.decode(tokens[1:5])
    np.testing.assert_allclose(encoder.encode(text, max_length=5 + 3), encoder.encode(short), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="max_length 4 leaves no room for a text beside 3 memory tokens"):
        encoder.encode(text, max_length=4)


def test_a_hundred_thousand_characters(encoder: Encoder):
    long = "The quick brown fox. " * 5000
    np.testing.assert_allclose(encoder.encode([long, "x"])[0], encoder.encode(long[:2000]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", None], r"texts\[1\] is NoneType, not a string"),
        (["a", "b", 3.0], r"texts\[2\] is float"),
        ([b"a"], r"texts\[0\] is bytes"),
        ([["a", "b"]], r"texts\[0\] is list"),
        ([float("nan")], r"texts\[0\] is float"),
    ],
)
def test_what_is_no_string_is_named_by_its_index(texts: list, message: str, encoder: Encoder):
    with pytest.raises(UserError, match=message):
        encoder.encode(texts)


def test_batches_keep_to_the_token_budget_and_start_with_the_longest(encoder: Encoder, monkeypatch: pytest.MonkeyPatch):
    shapes = []
    embed = encoder.embed

    def spy(ids, mask, pooling_mask):
        shapes.append(tuple(ids.shape))
        return embed(ids, mask, pooling_mask)

    monkeypatch.setattr(encoder, "embed", spy)
    encoder.encode(MANY, token_budget=150)
    assert sum(rows for rows, _ in shapes) == len(MANY)
    assert all(rows * (length + 3) <= 150 or rows == 1 for rows, length in shapes)
    assert max(rows for rows, _ in shapes) > 4
    lengths = [length for _, length in shapes]
    assert lengths == sorted(lengths, reverse=True)


def test_a_batch_ends_where_padding_would_cost_more_than_another_pass(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
):
    texts = ["x" * length for length in (30, 6, 29, 20, 24, 5, 6, 24)]
    expected = one_by_one(encoder, texts)
    monkeypatch.setitem(encoding.PASS_TOKENS, "cpu", 10)
    masks = []
    embed = encoder.embed

    def spy(ids, mask, pooling_mask):
        masks.append(mask)
        return embed(ids, mask, pooling_mask)

    monkeypatch.setattr(encoder, "embed", spy)
    found = encoder.encode(texts)
    padding = [int((1 - mask).sum()) for mask in masks]
    assert [len(mask) for mask in masks] == [3, 2, 3]  # 30, 29 and 24; 24 and 20; 6, 6 and 5
    assert padding == [7, 4, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_texts_tokenised_in_parts_keep_their_order(encoder: Encoder, monkeypatch: pytest.MonkeyPatch):
    expected = encoder.encode(MANY)
    monkeypatch.setattr(encoding, "TOKENIZE_AT_ONCE", 7)
    np.testing.assert_allclose(encoder.encode(MANY), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fails", [False, True])
def test_modes_are_left_as_found_and_dropout_is_off(encoder: Encoder, fails: bool, monkeypatch: pytest.MonkeyPatch):
    expected = encoder.encode(TEXTS)
    encoder.train()
    encoder.backbone.lm.lm_head.eval()
    modes = [module.training for module in encoder.modules()]
    if fails:
        monkeypatch.setattr(encoder, "embed", None)
        with pytest.raises(TypeError):
            encoder.encode(TEXTS)
    else:
        np.testing.assert_array_equal(encoder.encode(TEXTS), expected)
    assert [module.training for module in encoder.modules()] == modes
    encoder.eval()


@pytest.mark.parametrize(("show", "shown"), [(True, True), (False, False), (None, False)])
def test_a_bar_is_shown_when_asked_for(encoder: Encoder, show: bool | None, shown: bool, capsys: pytest.CaptureFixture):
    encoder.encode(TEXTS, show_progress=show)
    assert ("Encoding" in capsys.readouterr().err) == shown


def test_a_bar_is_shown_of_itself_when_it_takes_long(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    clock = itertools.count(0, 4)  # four seconds pass between any two looks at it
    monkeypatch.setattr("tqdm.std.time", lambda: next(clock))
    encoder.encode(TEXTS, token_budget=1)
    assert "Encoding" in capsys.readouterr().err
