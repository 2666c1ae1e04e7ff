"""What stands in an evaluation set, exactly or nearly, is found; nothing else is."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from llm2comp.data import guard as module
from llm2comp.data.datamodule import DataModule
from llm2comp.data.evaluation_texts import evaluation_sets
from llm2comp.data.near_duplicates import NearDuplicates, words_of
from llm2comp.errors import UserError
from tests.data.pairs import PairRecorder, numbered, pair_data, write_rows
from tests.data.runs import trainer

SENTENCE = "A man with a hard hat is dancing on the roof of a big house."


@pytest.fixture
def evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path / "data"))
    for name, rows in {
        "mirror/mteb/sts/test.jsonl": [{"sentence1": SENTENCE, "sentence2": "Another one dances.", "score": 3}],
        "mirror/mteb/sts/train.jsonl": [{"sentence1": "Only in training.", "sentence2": "So is this.", "score": 3}],
        "mirror/mteb/facts/queries.jsonl": [{"_id": "1", "text": "asked"}, {"_id": "2", "text": "not asked"}],
        "mirror/mteb/facts/qrels-test.jsonl": [{"query-id": "1", "corpus-id": "7", "score": 1}],
        "mirror/mteb/facts/qrels-train.jsonl": [{"query-id": "2", "corpus-id": "7", "score": 1}],
        "mirror/mteb/facts/corpus.jsonl": [{"_id": "7", "title": "On facts", "text": "A fact is a fact."}],
        "evaluation_only/qa/qa.jsonl.gz": [{"question": "Who is it?", "context": "It is nobody."}],
    }.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        write_rows(tmp_path / "data" / name, rows)
    return tmp_path / "data"


def test_evaluation_texts_are_those_of_no_training_split(evaluation: Path) -> None:
    assert {one.name: list(one.texts()) for one in evaluation_sets()} == {
        "mteb/facts": ["A fact is a fact.", "On facts A fact is a fact.", "asked"],
        "mteb/sts": [SENTENCE, "Another one dances."],
        "qa": ["Who is it?", "It is nobody."],
    }


def test_pairs_with_an_evaluation_text_are_dropped_and_counted_by_set(evaluation: Path, tmp_path: Path) -> None:
    rows = [
        {"query": SENTENCE.upper().replace(" ", "  "), "positive": "p"},
        {"query": "q", "positive": "another one, dances", "negative": "It is nobody!"},
        {"query": "q2", "positive": "p2", "negative": ["n", "on facts: a fact is a fact"]},
        {"query": "Only in training.", "positive": "not asked"},
        {"query": "q3", "positive": "p3"},
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    splits = pair_data(str(path)).splits()
    assert splits.train.examples.tolist() == [3, 4]
    assert splits.notices == [
        f"{path}: left out 3 of 5 pairs, which have texts of evaluation sets (2 mteb/sts, 1 mteb/facts, 1 qa)"
    ]
    assert pair_data(str(path), guard="off").splits().train.examples.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(UserError, match=r"a\.jsonl has 3 of 5 pairs, .*; set guard to drop to leave them out"):
        pair_data(str(path), guard="refuse").splits()


def test_nothing_is_refused_where_nothing_is_found(evaluation: Path, tmp_path: Path) -> None:
    splits = pair_data(str(numbered(tmp_path, "a", 5)), guard="refuse").splits()
    assert len(splits.train.examples) == 5
    assert splits.notices == []


def test_held_out_pairs_have_no_evaluation_text_either(evaluation: Path, tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "positive": SENTENCE if i % 2 else f"p{i}"} for i in range(100)]
    splits = pair_data(str(write_rows(tmp_path / "a.jsonl", rows)), validation_fraction=0.3).splits()
    assert splits.validation is not None
    assert not any(example % 2 for example in [*splits.train.examples, *splits.validation.examples])


def test_what_is_found_is_kept_until_a_set_changes(
    evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(write_rows(tmp_path / "a.jsonl", [{"query": f"q{i}", "positive": f"new {i}"} for i in range(5)]))
    pair_data(path).splits()
    monkeypatch.setattr(module, "NearDuplicates", None)
    assert pair_data(path).splits().notices == []
    monkeypatch.undo()
    monkeypatch.setenv("LLM2COMP_DATA", str(evaluation))
    monkeypatch.setenv("LLM2COMP_CACHE", str(tmp_path / "cache"))
    test = evaluation / "mirror" / "mteb" / "sts" / "test.jsonl"
    test.write_text(test.read_text() + json.dumps({"sentence1": "new 3", "sentence2": "x", "score": 0}) + "\n")
    assert "left out 1 of 5" in pair_data(path).splits().notices[0]


def test_a_source_that_is_there_to_evaluate_with_is_refused_always(evaluation: Path) -> None:
    source = str(evaluation / "evaluation_only" / "qa" / "qa.jsonl.gz")
    for named in (source, str(evaluation)):
        with pytest.raises(UserError, match="never to train on"):
            pair_data(named, guard="off").splits()


def test_without_evaluation_sets_the_run_says_that_nothing_was_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(numbered(tmp_path, "a", 20))
    assert pair_data(path, guard="off").splits().notices == []
    trainer(tmp_path, max_epochs=1).fit(PairRecorder(), DataModule(path, batch_size=4))
    assert "guard: there is no evaluation set to compare the training texts with" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SENTENCE, True),
        ("a man with a hard hat is dancing on the roof of a BIG house", True),
        (SENTENCE.replace("big ", ""), True),  # 11 of 12 words
        (SENTENCE.replace("house", "home"), False),  # 11 of 13 words
        ("", False),
        ("...", False),
        ("dancing", False),
    ],
)
def test_one_word_in_ten_may_differ(text: str, found: bool) -> None:
    assert NearDuplicates([(SENTENCE, 5), ("...", 6)]).find(text) == ({5} if found else set())


def test_what_is_found_is_what_a_comparison_of_all_finds() -> None:
    draw = random.Random(0)
    vocabulary = [f"w{i}" for i in range(60)]

    def text(near: str | None = None) -> str:
        words = near.split() if near else draw.choices(vocabulary, k=draw.randint(1, 40))
        if near:
            for _ in range(draw.randint(0, 4)):
                words[draw.randrange(len(words))] = draw.choice([*vocabulary, "unknown", "strange"])
        return " ".join(words)

    known = [text() for _ in range(200)]
    known += [text(near=other) for other in known[:50]]
    index = NearDuplicates((one, i) for i, one in enumerate(known))
    hits = 0
    for _ in range(400):
        query = text(near=draw.choice(known))
        words = words_of(query)
        expected = {
            i for i, one in enumerate(known) if 10 * len(words & words_of(one)) >= 9 * len(words | words_of(one))
        }
        assert index.find(query) == expected
        hits += len(expected) > 0
    assert 50 < hits < 390


def test_the_guard_reads_the_real_sets(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stsb = shared_data / "mirror" / "mteb" / "stsbenchmark-sts"
    (tmp_path / "real" / "mirror" / "mteb").mkdir(parents=True)
    (tmp_path / "real" / "mirror" / "mteb" / "stsbenchmark-sts").symlink_to(stsb)
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path / "real"))
    assert {one.name: {path.name for path in one.files} for one in evaluation_sets()} == {
        "mteb/stsbenchmark-sts": {"test.jsonl", "validation.jsonl"}
    }
    splits = pair_data(str(shared_data / "pairs" / "snli" / "test_triplets.jsonl.gz")).splits()
    found = 3167 - len(splits.train.examples)
    assert f"left out {found} of 3,167 pairs" in splits.notices[0]
    assert 10 < found < 200
    sentences = {
        words_of(row[key])
        for name in ("test.jsonl", "validation.jsonl")
        for row in map(json.loads, (stsb / name).read_text().splitlines())
        for key in ("sentence1", "sentence2")
    }
    corpus = splits.train.corpus.corpora[0]  # type: ignore[union-attr]
    kept = np.concatenate([[corpus.queries[i], corpus.positives(i)[0]] for i in splits.train.examples])
    assert not any(words_of(corpus.texts.text(i)) in sentences for i in kept)
