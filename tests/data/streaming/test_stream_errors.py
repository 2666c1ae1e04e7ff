"""What cannot be streamed is refused in words that say what to do."""

from pathlib import Path
from typing import Any

import pytest

from llm2comp.data.datamodule import DataModule
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.errors import UserError
from tests.data.runs import Recorder, trainer
from tests.data.streaming.streams import OPTIONS, data_module, epochs, paragraph, stream, write_file, write_folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_examples": 5}, "max_examples is a sample of all the text, which a stream does not know"),
        ({"buffer_size": 0}, "buffer_size must be at least 1"),
        ({"batch_size": 9, "token_budget": None}, "buffer_size 7 is less than a batch of batch_size 9"),
        ({"train": [PairSet("a.jsonl"), PairSet("b.jsonl")]}, "a stream has one source, and train names 2"),
        ({"train": [PairSet("a.jsonl", max_examples=4)]}, "max_examples is a sample"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DataModule(**{**OPTIONS, **options})


def test_the_end_of_training_has_to_be_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 5})
    data = DataModule(str(tmp_path / "corpus"), **OPTIONS, validation_fraction=0.0)
    with pytest.raises(UserError, match=r"set trainer\.max_steps"):
        trainer(tmp_path, max_epochs=2).fit(Recorder(), data)


def test_a_budget_below_the_longest_paragraph_there_may_be_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 5})
    with pytest.raises(
        UserError, match=r"may come in a stream, 101 tokens; raise token_budget or set max_tokens to 63"
    ):
        data_module(tmp_path / "corpus", token_budget=64)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_more_processes_than_examples_are_refused(tmp_path: Path, num_workers: int) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 2, "b.txt": 1})
    assert [len(epochs(stream(tmp_path / "corpus", rank, 3), num_workers)[0]) for rank in range(3)] == [1, 1, 1]
    with pytest.raises(UserError, match=r"not as many paragraphs of at least 1 characters to train on as processes, 4"):
        epochs(stream(tmp_path / "corpus", 3, 4), num_workers)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_stream_that_ends_before_one_batch_is_refused(tmp_path: Path, num_workers: int) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 9})
    data = DataModule(str(tmp_path / "corpus"), **{**OPTIONS, "max_tokens": 20}, validation_fraction=0.0)
    with pytest.raises(UserError, match=r"corpus ends before there is one batch: .* 20 to 20 tokens"):
        trainer(tmp_path, max_steps=2).fit(Recorder(), data)


def test_a_stream_of_nothing_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 0, "b.txt.gz": 0})
    with pytest.raises(UserError, match="not as many paragraphs"):
        epochs(stream(tmp_path / "corpus"), 0)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    with pytest.raises(UserError, match=r"corpus holds no file that ends in one of \.txt"):
        data_module(tmp_path / "corpus")


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("b.jsonl", b'{"text": \n', r"b\.jsonl, line 10: not JSON"),
        ("b.txt", b"caf\xe9\n", r"b\.txt, line 10: not UTF-8"),
        ("b.jsonl", b'{"query": "q", "positive": "p"}\n', r"b\.jsonl, line 10: a row needs 'text' .* has 'query'"),
    ],
)
def test_damage_in_the_middle_is_named_by_file_and_line(
    tmp_path: Path, name: str, damage: bytes, message: str, num_workers: int
) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 12, name: 9, "c.txt": 5})
    with (tmp_path / "corpus" / name).open("ab") as file:
        file.write(damage)
    data = DataModule(str(tmp_path / "corpus"), **OPTIONS, validation_fraction=0.0, num_workers=num_workers)
    with pytest.raises(UserError, match=message) as caught:
        trainer(tmp_path, max_steps=100).fit(Recorder(), data)
    assert "Traceback" not in str(caught.value)


def test_a_parquet_file_that_is_none_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 12})
    (tmp_path / "corpus" / "b.parquet").write_text("PAR1 it is not")
    with pytest.raises(UserError, match=r"b\.parquet: not a parquet file"):
        epochs(stream(tmp_path / "corpus"), 0)


def test_files_of_different_kinds_are_one_source(tmp_path: Path) -> None:
    names = ["a.jsonl", "b.jsonl.gz", "c.parquet", "d.txt", "e.txt.gz"]
    everything = write_folder(tmp_path / "corpus", dict.fromkeys(names, 3))
    write_file(tmp_path / "corpus" / "notes.md", [paragraph("n", 1)])
    (batches,) = epochs(stream(tmp_path / "corpus"), 0)
    assert sorted(text for batch in batches for text in batch) == sorted(everything)
