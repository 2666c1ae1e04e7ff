"""Every layout gives the pairs it says; what is wrong is counted or named by file and line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.errors import UserError
from llm2comp.prompts import Instruction
from tests.data.pairs import write_rows


def read(path: Path, min_score: float | None = None, min_characters: int = 1) -> tuple[list[Pair], PairReport]:
    report = PairReport()
    return list(PairSource(str(path), min_characters, min_score).pairs(report)), report


@pytest.mark.parametrize(
    ("row", "pair"),
    [
        ({"query": "q", "positive": "p"}, Pair("q", ["p"], [], "q")),
        ({"query": " q ", "positive": ["p", "r"], "negative": ["n"]}, Pair("q", ["p", "r"], ["n"], "q")),
        ({"query": "q", "positive": "p", "negative": None}, Pair("q", ["p"], [], "q")),
        ({"query": "q", "pos": ["p"], "neg": ["n", "m"], "other": 3}, Pair("q", ["p"], ["n", "m"], "q")),
        ({"anchor": "q", "positive": "p", "negative": "n"}, Pair("q", ["p"], ["n"], "q")),
        ({"question": "q", "passage": "p"}, Pair("q", ["p"], [], "q")),
        ({"question": "q", "title": "t", "passage": "p"}, Pair("q", ["t p"], [], "q")),
        ({"question": "q", "context": "p", "title": "t"}, Pair("q", ["p"], [], "q")),
        (
            {"query": "q", "pos": ["p"], "neg": ["n"], "prompt": "Find.", "type": "normal"},
            Pair("q", ["p"], ["n"], "q", Instruction("Find.", symmetric=False)),
        ),
        (
            {"query": "q", "pos": ["p"], "neg": [], "prompt": "Match.", "type": "symmetric_sts"},
            Pair("q", ["p"], [], "q", Instruction("Match.", symmetric=True)),
        ),
        (
            {"query": ["Find.", "q"], "positive": "p", "negative": "n"},
            Pair("q", ["p"], ["n"], "q", Instruction("Find.", symmetric=False)),
        ),
    ],
)
def test_a_row_is_recognised_by_its_keys(tmp_path: Path, row: dict[str, Any], pair: Pair) -> None:
    assert read(write_rows(tmp_path / "a.jsonl.gz", [row]))[0] == [pair]
    if not isinstance(row.get("query"), list):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
        assert read(tmp_path / "a.parquet")[0] == [pair]


@pytest.mark.parametrize("keys", [("sentence1", "sentence2"), ("premise", "hypothesis")])
def test_what_a_sentence_entails_is_its_positives_and_what_contradicts_it_its_negatives(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    labelled = [
        ("a", "b", "entailment"),
        ("x", "y", "entailment"),
        ("a", "c", "contradiction"),
        ("a", "d", "neutral"),
        ("a", "e", "entailment"),
        ("z", "w", "contradiction"),
        ("a", "u", "-"),
    ]
    path = write_rows(tmp_path / "a.jsonl", ({keys[0]: a, keys[1]: b, "label": label} for a, b, label in labelled))
    pairs, report = read(path)
    assert pairs == [Pair("a", ["b", "e"], ["c"], "a"), Pair("x", ["y"], [], "x")]
    assert (report.rows_read, report.pairs, report.without_positive) == (7, 2, 1)


@pytest.mark.parametrize("key", ["score", "label"])
def test_pairs_that_score_enough_are_positives(tmp_path: Path, key: str) -> None:
    scored = [("a", "b", 4.0), ("a", "c", 3.9), ("d", "e", 5), ("f", "g", 0.0)]
    path = write_rows(tmp_path / "a.jsonl", ({"sentence1": a, "sentence2": b, key: s} for a, b, s in scored))
    assert read(path, min_score=4)[0] == [Pair("a", ["b"], [], "a"), Pair("d", ["e"], [], "d")]
    with pytest.raises(UserError, match=r"line 1: the pairs are scored \(4\.0\); say .* `min_score`"):
        read(path)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    rows = [
        {"query": "q", "positive": "p", "negative": ["p ", "n", ""]},
        {"query": "q", "positive": "p", "negative": ["n"]},
        {"query": "", "positive": "p"},
        {"query": "q", "positive": " "},
        {"query": "q", "positive": []},
        {"query": "q", "positive": ["", "r"]},
    ]
    pairs, report = read(write_rows(tmp_path / "a.jsonl", rows))
    assert pairs == [Pair("q", ["p"], ["n"], "q"), Pair("q", ["r"], [], "q")]
    assert report.to_json() == {
        **PairReport().to_json(),
        "rows_read": 6,
        "pairs": 2,
        "negatives_equal_positive": 1,
        "empty_texts": 2,
        "empty_rows": 2,
        "without_positive": 1,
        "duplicates": 1,
    }
    assert report.drops() == (
        "1 duplicate rows, 1 rows without a positive, 2 rows with an empty query or positive, 2 empty strings, "
        "1 negatives that equal a positive"
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"foo": "a", "bar": "b"},
            r"line 2: a row with the keys 'foo', 'bar' is in no known layout .* query, positive",
        ),
        ({"sentence1": "a", "sentence2": "b"}, r"line 2: .* in no known layout"),
        ({"query": 3, "positive": "p"}, r"line 2: 'query' is a string or a list of strings, but holds 3"),
        ({"query": "q", "positive": ["p", None]}, r"line 2: 'positive' is .* but holds None"),
        ({"query": ["a", "b", "c"], "positive": "p"}, r"line 2: 'query' is a string or \[instruction, query\]"),
        ({"query": "a", "positive": "p", "prompt": 3}, r"line 2: .* and 'prompt' a string; they are 'a' and 3"),
        ({"sentence1": "a", "sentence2": "b", "label": "same"}, r"line 2: the label 'same' is none of entailment"),
        ({"sentence1": "a", "sentence2": "b", "label": None}, r"line 2: the label is neither a word nor a number"),
        ({"sentence1": "a", "sentence2": 3, "label": "neutral"}, r"line 2: 'sentence2' is not a string but 3"),
    ],
)
def test_what_is_malformed_is_named_by_file_and_line(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"query": "q", "positive": "p"}, row])
    with pytest.raises(UserError, match=rf"a\.jsonl, {message}"):
        read(path)


def test_a_text_is_paired_with_itself_and_grouped_by_its_document(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"title": "T", "text": "one text\nno\ntwo text"}, {"text": "one text"}])
    pairs, report = read(path, min_characters=3)
    assert [(pair.query, pair.positives, pair.negatives) for pair in pairs] == [
        ("one text", ["one text"], []),
        ("two text", ["two text"], []),
    ]
    assert [pair.group for pair in pairs] == ["T", "T"]
    assert (report.too_short, report.duplicates) == (1, 1)
    (tmp_path / "b.txt").write_text("one line\nanother line\n")
    assert [pair.query for pair in read(tmp_path / "b.txt")[0]] == ["one line", "another line"]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is not one row"):
        read(write_rows(tmp_path / "a.jsonl", []))
