"""`llm2comp mine` writes pairs with negatives that the training sources read."""

import json
from pathlib import Path

import pytest

from llm2comp.cli.mine import main, write
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.errors import UserError
from tests.data.pairs import numbered


def test_pairs_get_negatives_and_can_be_trained_on(
    lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = numbered(tmp_path, "a", 30), tmp_path / "new" / "mined.jsonl"
    options = ["--negatives", "3", "--range_min", "2", "--range_max", "20", "--margin", "null", "--task", "nli"]
    main(["mine", "--encoder", str(lm_folder), "--data", str(data), "--output", str(output), *options])
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["query"] for row in rows] == [json.loads(line)["query"] for line in data.read_text().splitlines()]
    assert all(len(set(row["negative"])) == 3 and row["positive"][0] not in row["negative"] for row in rows)
    assert "30 pairs of 30 rows (dropped: none); 3.0 negatives a pair, 0 pairs without" in capsys.readouterr().out
    read = list(PairSource(str(output), 1, None).pairs(PairReport()))
    assert [pair.negatives for pair in read] == [row["negative"] for row in rows]
    assert [path.name for path in output.parent.iterdir()] == ["mined.jsonl"]


def test_a_file_that_cannot_be_written_whole_is_not_written(tmp_path: Path) -> None:
    output = tmp_path / "a.jsonl"
    output.write_text("before")
    with pytest.raises(TypeError):
        write([Pair("q", ["p"], [], "q"), Pair("q", [object()], [], "q")], output)  # type: ignore[list-item]
    assert output.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("data", "output", "message"),
    [("a.jsonl", "out.json", "must end in .jsonl"), ("evaluation_only/a.jsonl", "out.jsonl", "never to train on")],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, data: str, output: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(["mine", "--encoder", "none", "--data", str(tmp_path / data), "--output", str(tmp_path / output)])
