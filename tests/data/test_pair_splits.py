"""Pairs to train on and held-out pairs: no query on both sides, no data set too small, everything told."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonargparse import ArgumentParser

from llm2comp.data.datamodule import DataModule
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.splits import Splits, Subset
from llm2comp.errors import UserError
from tests.data.pairs import PairRecorder, numbered, pair_data, texts_of, write_rows
from tests.data.runs import set_up, trainer


def queries(subset: Subset | None) -> list[str]:
    assert subset is not None
    mixture = subset.corpus
    assert isinstance(mixture, PairMixture)
    found = []
    for number, part in enumerate(mixture.split(subset.examples)):
        for example in part:
            _, (index,) = mixture.locate(np.array([example]))
            corpus = mixture.corpora[number]
            found.append(corpus.texts.text(corpus.queries[index]))
    return found


def splits_of(train: Any, **options: Any) -> Splits:
    return pair_data(train, **{"validation_fraction": 0.2, **options}).splits()


def test_the_same_query_is_never_on_both_sides(tmp_path: Path) -> None:
    rows = [{"query": f"query {i % 60}", "positive": f"answer {i}"} for i in range(240)]
    a = write_rows(tmp_path / "a.jsonl", rows[:120])
    b = write_rows(tmp_path / "b.jsonl", rows[120:])
    splits = splits_of([PairSet(str(a)), PairSet(str(b))])
    train, held_out = queries(splits.train), queries(splits.validation)
    assert not set(train) & set(held_out)
    assert len(train) + len(held_out) == 240
    assert 20 < len(held_out) < 90


def test_a_separate_source_validates_and_none_of_its_queries_is_trained_on(tmp_path: Path) -> None:
    a, b = numbered(tmp_path, "a", 20), tmp_path / "b.jsonl"
    lines = a.read_text().splitlines()
    b.write_text("\n".join([*lines[3:6], '{"query": "other", "positive": "p"}']))
    splits = splits_of(str(a), validation=str(b))
    assert len(queries(splits.validation)) == 4
    assert not set(queries(splits.train)) & set(queries(splits.validation))
    assert len(splits.train.examples) == 17
    with_task = splits_of(str(a), validation=[PairSet(str(b), "nli")])
    assert len(queries(with_task.validation)) == 4


def test_a_text_is_held_out_with_its_document(tmp_path: Path) -> None:
    rows = [{"title": str(i), "text": "\n".join(f"text {j} of {i}" for j in range(3))} for i in range(30)]
    splits = splits_of(str(write_rows(tmp_path / "a.jsonl", rows)))
    sides = [{text.split()[-1] for text in queries(side)} for side in (splits.train, splits.validation)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 30


def test_a_sample_of_each_data_set(tmp_path: Path) -> None:
    a, b = numbered(tmp_path, "a", 30), numbered(tmp_path, "b", 30)
    splits = splits_of([PairSet(str(a), max_examples=7), PairSet(str(b), max_examples=5)], validation_fraction=0.0)
    assert [query[0] for query in queries(splits.train)] == ["a"] * 7 + ["b"] * 5
    assert len(splits_of(str(a), max_examples=6).train.examples) == 6


def test_a_data_set_smaller_than_a_batch_gives_one_smaller_batch(tmp_path: Path) -> None:
    small, large = numbered(tmp_path, "small", 3), numbered(tmp_path, "large", 9)
    data = pair_data([PairSet(str(small)), PairSet(str(large))])
    splits = data.splits()
    dataset, plan = data.batches(splits.train, training=True, rank=0, world_size=1)
    assert sorted(len(batch) for batch in plan.batches(0)) == [3, 4, 4]
    assert "training: 3 pairs, one smaller batch" in splits.description
    assert "training: 9 pairs, 1 left over in an epoch" in splits.description
    assert dataset.corpus is splits.train.corpus


def test_a_data_set_of_one_pair_is_refused_by_name(tmp_path: Path) -> None:
    small, large = numbered(tmp_path, "small", 1), numbered(tmp_path, "large", 9)
    with pytest.raises(UserError, match=r"small\.jsonl has 1 of 1 pairs left to train on, and a batch needs 2;"):
        pair_data([PairSet(str(large)), PairSet(str(small))]).splits()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": [PairSet("a", weight=2.0)]}, "a has a weight, which counts only with mixing: weights"),
        ({"train": []}, "train names no data set"),
        ({"train": [PairSet("a")], "max_examples": 3}, "give max_examples in the entries"),
        ({"train": "a", "mixing": "evenly"}, "unknown mixing 'evenly'"),
        ({"train": "a", "guard": "on"}, "unknown guard 'on'"),
        ({"train": "a", "mixing_temperature": 0}, "mixing_temperature must be above 0"),
        ({"train": "a", "max_query_tokens": 0}, "max_query_tokens must be at least 1"),
        ({"train": "a", "batch_size": None, "token_budget": 64}, "give batch_size .* instead of token_budget"),
        ({"train": "a", "batch_size": 1}, "batch_size must be at least 2"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        pair_data(options.pop("train"), **options).splits()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "nil"}, "unknown task 'nil'; did you mean 'nli'"),
        ({"weight": 0.0}, "a: weight must be above 0"),
        ({"max_examples": 1}, "a: max_examples must be at least 2"),
        ({"max_negatives": -1}, "a: max_negatives must not be negative"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        PairSet("a", **options)


def test_a_list_of_data_sets_is_for_pairs(articles: Path) -> None:
    with pytest.raises(UserError, match="reads one source of text"):
        set_up(DataModule([PairSet(str(articles))], batch_size=2), articles.parent)


def test_a_mixture_is_written_in_yaml(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(DataModule, "data")
    config = tmp_path / "a.yaml"
    config.write_text(
        "data:\n  batch_size: 8\n  mixing: weights\n  train:\n"
        "    - {source: a.jsonl, task: nli, weight: 2}\n    - {source: b.jsonl, max_negatives: 3}\n"
    )
    parser.add_argument("--config", action="config")
    data = parser.instantiate_classes(parser.parse_args(["--config", str(config)])).data
    assert data.settings.train == [PairSet("a.jsonl", "nli", 2.0), PairSet("b.jsonl", max_negatives=3)]
    one = parser.instantiate_classes(parser.parse_args(["--data.train", "a.jsonl", "--data.batch_size", "8"])).data
    assert one.settings.train == "a.jsonl"


def test_a_run_trains_and_validates_on_pairs_and_says_what_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = PairRecorder()
    data = DataModule(str(numbered(tmp_path, "a", 40, negatives=2)), batch_size=8)
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        trainer(tmp_path, max_epochs=1).fit(model, data)
    assert "a.jsonl: 40 pairs of 40 rows (dropped: none; " in caplog.text
    assert all(len(texts) == 24 for texts in model.seen)
    held_out = data.validation_texts()
    assert all(text.endswith(" yes") for text in held_out)
    assert not set(held_out) & {text for texts in model.seen for text in texts}
    (batch, *_) = list(data.val_dataloader())
    assert set(texts_of(batch)[batch.num_pairs : 2 * batch.num_pairs]) <= set(held_out)
