"""The held-out questions: one a passage, drawn by the seed alone, and absent where there is no data."""

import gzip
import json
from pathlib import Path

import pytest

from llm2comp.errors import UserError
from llm2comp.evaluation.questions import held_out_questions


def write(folder: Path, lines: list[str]) -> None:
    path = folder / "evaluation_only" / "squad_shifts" / "qa.jsonl.gz"
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines))


def test_one_question_a_passage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"question": f"q{i}", "context": f"p{i // 2}"} for i in range(20)]
    write(tmp_path, [json.dumps(row) for row in rows])
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path))
    drawn = held_out_questions(6, seed=1)
    assert drawn is not None
    assert len({question.passage for question in drawn}) == 6
    assert all(int(q.question[1:]) // 2 == int(q.passage[1:]) for q in drawn)
    assert drawn == held_out_questions(6, seed=1) != held_out_questions(6, seed=2)
    assert len(held_out_questions(100, seed=1) or []) == 10


def test_absent_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path))
    assert held_out_questions(6, seed=1) is None
    monkeypatch.delenv("LLM2COMP_DATA")
    assert held_out_questions(6, seed=1) is None


def test_malformed_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, [json.dumps({"question": "q", "context": "p"}), '{"question": 1}'])
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path))
    with pytest.raises(UserError, match="line 2"):
        held_out_questions(6, seed=1)
