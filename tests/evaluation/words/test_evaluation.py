"""From sentences to scores: what can be known of a word is found, and what was computed is kept."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from llm2comp.errors import UserError
from llm2comp.evaluation.words import evaluation
from llm2comp.evaluation.words.evaluation import WordEvaluation
from llm2comp.evaluation.words.features import WordReader
from llm2comp.evaluation.words.result import read_result
from llm2comp.evaluation.words.tasks import WordDataset
from llm2comp.evaluation.words.training import HeadSettings
from tests.encoder.examples import tiny_encoder
from tests.evaluation.words.examples import sentences

SETTINGS = HeadSettings(learning_rate=0.2, dropout=0.0, batch_size=64, steps=600, steps_between_validations=100)
DATASET = WordDataset({"train": sentences(200, 0), "dev": sentences(40, 1), "test": sentences(60, 2)})


@pytest.fixture
def pos(tmp_path: Path) -> WordEvaluation:
    return WordEvaluation("pos", DATASET, tmp_path / "results", SETTINGS)


@pytest.fixture(scope="session")
def reader(llama: Path) -> WordReader:
    return WordReader(tiny_encoder(llama, k=0, pooling="mean", direction="causal"))


def never(*_: object) -> None:
    raise AssertionError("a head was trained")


def test_a_tag_that_hangs_on_the_word_alone_is_found_at_the_word(pos: WordEvaluation, reader: WordReader):
    """Words are drawn one by one: causal states before a word know nothing of it."""
    result = pos.evaluate(reader, seeds=1)
    assert result.accuracy.mean > 97
    assert result.f1 is None
    before = pos.evaluate(WordReader(reader.encoder, "previous"), seeds=1)
    assert 25 < before.accuracy.mean < 60  # half of the words are NN
    assert (result.reading, before.reading) == ("same", "previous")
    assert (result.encoder, result.direction) == (reader.encoder.name, "causal")
    assert result.words == {split: sum(len(s.words) for s in some) for split, some in DATASET.splits.items()}


def test_results_are_kept_and_added_to_seed_by_seed(
    pos: WordEvaluation, reader: WordReader, monkeypatch: pytest.MonkeyPatch
):
    first = pos.evaluate(reader, seeds=1)
    (path,) = pos.folder.iterdir()
    three = pos.evaluate(reader, seeds=3)
    assert list(pos.folder.iterdir()) == [path]
    assert three.scores[0] == first.scores[0]
    assert set(three.scores) == {0, 1, 2}
    assert read_result(path) == three
    content = json.loads(path.read_text())
    assert content["accuracy"] == {"mean": three.accuracy.mean, "std": three.accuracy.std}

    monkeypatch.setattr(evaluation, "train_head", never)
    assert pos.evaluate(reader, seeds=3) == three
    assert pos.evaluate(reader, seeds=1) == first
    for other in (
        WordEvaluation("pos", DATASET, pos.folder, replace(SETTINGS, steps=100)),
        WordEvaluation("pos", WordDataset({**DATASET.splits, "test": sentences(60, 9)}), pos.folder, SETTINGS),
    ):
        with pytest.raises(AssertionError, match="a head was trained"):
            other.evaluate(reader, seeds=3)
    with pytest.raises(AssertionError, match="a head was trained"):
        pos.evaluate(WordReader(reader.encoder, "previous"), seeds=1)
    monkeypatch.setattr(evaluation, "FEATURES_VERSION", 0)
    with pytest.raises(AssertionError, match="a head was trained"):
        pos.evaluate(reader, seeds=3)


def test_spans_are_scored_where_tags_are_spans(tmp_path: Path, reader: WordReader):
    names = {"fox": "B-PER", "dog": "I-PER"}
    splits = {
        split: [replace(s, tags={"ner": [names.get(word, "O") for word in s.words]}) for s in some]
        for split, some in DATASET.splits.items()
    }
    settings = replace(SETTINGS, steps=200)
    result = WordEvaluation("ner", WordDataset(splits, limit=200), tmp_path / "results", settings).evaluate(reader, 2)
    assert result.f1 is not None
    assert result.f1.std is not None
    assert 50 < result.f1.mean < result.accuracy.mean < 100  # few words are names, and all of a name must be right
    assert result.limit == 200


def test_a_file_that_is_no_result_is_named(pos: WordEvaluation, reader: WordReader):
    pos.evaluate(reader, seeds=1)
    (path,) = pos.folder.iterdir()
    for content in ("{", "[]", "{}", '{"scores": {"0": 1}}'):
        path.write_text(content)
        with pytest.raises(UserError, match=rf"{path.name} is not a result of evaluate-words .* remove it"):
            pos.evaluate(reader, seeds=1)
