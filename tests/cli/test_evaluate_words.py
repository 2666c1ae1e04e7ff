"""`llm2comp evaluate-words` compares encoders on tasks, and keeps what it finds."""

import json
from pathlib import Path

import pytest

from llm2comp.cli.evaluate_words import main
from llm2comp.errors import UserError
from llm2comp.evaluation.words import evaluation
from llm2comp.evaluation.words.training import HeadSettings
from tests.evaluation.words.examples import write_conll


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM2COMP_DATA", str(write_conll(tmp_path / "data")))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(evaluation, "HeadSettings", lambda: HeadSettings(steps=40, steps_between_validations=20))
    return tmp_path / "data"


def test_encoders_are_compared_and_results_kept(
    data: Path, lm_folder: Path, workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    names = [f"causal:{lm_folder}", f"bidirectional:{lm_folder}", str(lm_folder)]
    encoders = [part for name in names for part in ("--encoder", name)]
    options = ["--tasks", "chunking,pos", "--limit", "30", "--direction", "bidirectional"]
    arguments = ["evaluate-words", *encoders, *options]
    main(arguments)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if lm_folder.name in line]
    assert [row[:2] for row in rows] == [
        [f"{lm_folder.name},", direction] for direction in ("causal", "bidirectional", "bidirectional")
    ]
    assert rows[1] == rows[2] != rows[0]
    assert all(len(row) == 5 and 0 <= float(row[2]) <= 100 for row in rows)  # accuracy, F1, accuracy
    assert "first 30 sentences of each split only" in printed
    assert "Same base weights, corpus, training tokens, steps and LoRA." in printed
    kept = [json.loads(path.read_text()) for path in Path("lightning_logs/words").iterdir()]
    assert len(kept) == 4
    shown = {f"{result['accuracy']['mean']:.2f}" for result in kept}
    assert shown == {row[column] for row in rows for column in (2, 4)}

    def never(*_: object) -> None:
        raise AssertionError("a head was trained")

    monkeypatch.setattr(evaluation, "train_head", never)
    main(arguments)
    assert capsys.readouterr().out == printed


def test_seeds_and_unread_words_show(data: Path, lm_folder: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--tasks", "pos", "--seeds", "2", "--max_length", "6", "--reading", "previous", "--output", "there"]
    main(["evaluate-words", "--encoder", str(lm_folder), *options])
    printed = capsys.readouterr().out
    assert "±" in printed
    assert "one position earlier" in printed
    assert "words of pos; raise --max_length" in printed
    assert "first" not in printed
    assert len(list(Path("there").iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder", "echo:{lm}", "--tasks", "pos"], "gives one vector for a text"),
        (["--encoder", "{lm}", "--tasks", "pos,chunkin"], "unknown task 'chunkin'; did you mean 'chunking'"),
        (["--encoder", "{lm}", "--tasks", "ud-pos"], "ud_english_ewt must hold one file"),
        (["--encoder", "casual:{lm}", "--tasks", "pos"], "'casual'"),
    ],
)
def test_what_makes_no_sense_is_refused(data: Path, lm_folder: Path, options: list[str], message: str):
    with pytest.raises(UserError, match=message):
        main(["evaluate-words", *(option.format(lm=lm_folder) for option in options)])
