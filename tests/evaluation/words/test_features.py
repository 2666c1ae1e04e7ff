"""Word features are means of exactly the states they should be, whatever stands around, and are computed once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.evaluation.words.features import WordReader
from llm2comp.evaluation.words.sentence import Sentence
from llm2comp.evaluation.words.subwords import UNREAD, subwords
from tests.encoder.examples import tiny_encoder

# float16, in which features are kept, has 11 bits.
CLOSE = {"rtol": 1e-3, "atol": 2e-3}
WORDS = [line.split() for line in ("fox", "dog decoders of text", "The quick brown fox jumps over the lazy dog")]
READINGS = ["same", "previous"]


def lm(folder: Path, direction: str = "causal", **config) -> Encoder:
    return tiny_encoder(folder, k=0, pooling="mean", direction=direction, **config)


def tagged(words: Sequence[Sequence[str]], tag: str = "X") -> list[Sentence]:
    return [Sentence(list(sentence), {"pos": [tag] * len(sentence)}) for sentence in words]


def features(encoder: Encoder, words: Sequence[Sequence[str]], reading: str = "same") -> np.ndarray:
    return np.array(WordReader(encoder, reading).features(tagged(words)).values, np.float32)


@torch.no_grad()
def plain_features(encoder: Encoder, words: Sequence[Sequence[str]], shift: int) -> np.ndarray:
    """One sentence at a time, without padding, one word after the other."""
    rows = []
    for read in subwords(encoder.tokenizer, words, encoder.max_text_tokens):
        ids = torch.tensor([read.input_ids])
        states = encoder(ids, torch.ones_like(ids))[0][0]  # [T + k, H]
        rows += [states[start - shift : end - shift].mean(0) for start, end in read.spans]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize(("reading", "shift"), [("same", 0), ("previous", 1)])
@pytest.mark.parametrize("k", [0, 3])
def test_features_are_means_of_states(llama: Path, k: int, reading: str, shift: int):
    encoder = tiny_encoder(llama, k=k, pooling="memory_mean" if k else "mean")
    np.testing.assert_allclose(features(encoder, WORDS, reading), plain_features(encoder, WORDS, shift), **CLOSE)


def test_memory_tokens_are_read_by_words_and_are_no_words(llama: Path):
    both, causal = (tiny_encoder(llama, direction=direction) for direction in ("bidirectional", "causal"))
    before = [features(encoder, WORDS) for encoder in (both, causal)]
    with torch.no_grad():
        for encoder in (both, causal):
            encoder.memory.rows += 1
    assert all(np.abs(change).max() > 0.02 for change in features(both, WORDS) - before[0])
    np.testing.assert_array_equal(features(causal, WORDS), before[1])


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_other_sentences_change_nothing(llama: Path, direction: str, reading: str):
    encoder = lm(llama, direction)
    alone = np.concatenate([features(encoder, [sentence], reading) for sentence in WORDS])
    np.testing.assert_allclose(features(encoder, WORDS, reading), alone, **CLOSE)
    order = [2, 0, 1]
    parts = np.split(features(encoder, [WORDS[i] for i in order], reading), [9, 10])
    np.testing.assert_allclose(np.concatenate([parts[order.index(i)] for i in range(3)]), alone, **CLOSE)


@pytest.mark.parametrize(("reading", "changed"), [("same", [2, 3]), ("previous", [3])])
def test_the_previous_state_knows_the_words_before_and_not_the_word(llama: Path, reading: str, changed: list[int]):
    """Words of one token each, so that none has a sub-word before its last."""
    encoder = lm(llama, "causal")
    before = features(encoder, [["The", "fox", "dog", "is"]], reading)
    after = features(encoder, [["The", "fox", "text", "is"]], reading)
    assert np.flatnonzero(np.abs(after - before).max(-1) > 0.01).tolist() == changed
    assert np.array_equal(after[:2], before[:2])


@pytest.mark.parametrize("reading", READINGS)
def test_with_bidirectional_attention_every_word_knows_every_other(llama: Path, reading: str):
    encoder = lm(llama, "bidirectional")
    before = features(encoder, [["The", "fox", "dog", "is"]], reading)
    after = features(encoder, [["The", "fox", "text", "is"]], reading)
    assert (np.abs(after - before).max(-1) > 1e-3).all()


def test_words_beyond_the_end_are_zero_and_counted(llama: Path):
    encoder = lm(llama, max_length=8)
    read = WordReader(encoder).features(tagged(WORDS))
    spans = [span for sentence in subwords(encoder.tokenizer, WORDS, 8) for span in sentence.spans]
    unread = np.array([span == UNREAD for span in spans])
    assert read.unread == unread.sum() > 0
    assert not read.values[unread].any()
    assert np.abs(read.values[~unread]).max(-1).min() > 0


def test_features_are_computed_once_for_all_tasks(llama: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    encoder = lm(llama)
    first = WordReader(encoder).features(tagged(WORDS))
    assert isinstance(first.values, np.memmap)
    assert first.values.dtype == np.float16

    def forward(*_: object) -> None:
        raise AssertionError("the encoder was run")

    monkeypatch.setattr(Encoder, "forward", forward)
    again = WordReader(lm(llama)).features(tagged(WORDS, tag="Y"))
    np.testing.assert_array_equal(again.values, first.values)
    assert again.unread == first.unread
    for other, sentences in (
        (WordReader(encoder, "previous"), WORDS),
        (WordReader(lm(llama, "bidirectional")), WORDS),
        (WordReader(lm(llama, max_length=32)), WORDS),
        (WordReader(encoder), WORDS[::-1]),
    ):
        with pytest.raises(AssertionError, match="the encoder was run"):
            other.features(tagged(sentences))
    assert len(list((cache / "words").iterdir())) == 1  # what failed has left nothing


def test_the_encoder_keeps_its_mode(llama: Path):
    encoder = lm(llama).train()
    features(encoder, WORDS)
    assert encoder.training


def test_states_that_are_not_finite_are_refused(llama: Path, cache: Path):
    encoder = lm(llama)
    encoder.backbone.lm.base_model.norm.weight.data.fill_(1e6)
    with pytest.raises(UserError, match="states of words are not finite in float16"):
        features(encoder, WORDS)
    assert not list((cache / "words").iterdir())
