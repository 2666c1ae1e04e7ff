"""What a stream validates on hangs on content, and is never trained on."""

import json
from pathlib import Path

import pytest

from llm2comp.data.datamodule import DataModule
from llm2comp.data.streaming import held_out as module
from llm2comp.errors import UserError
from tests.data.streaming.streams import data_module, epochs, paragraph, stream, write_file, write_folder


def test_validation_and_training_share_no_paragraph_and_lose_none(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 40, "b.txt": 30})
    held_out = data_module(tmp_path / "corpus", validation_fraction=0.2).validation_texts()
    (trained,) = epochs(stream(tmp_path / "corpus", validation_fraction=0.2), 0)
    assert sorted([text for batch in trained for text in batch] + held_out) == sorted(everything)
    assert 5 < len(held_out) < 25


def test_the_same_documents_are_held_out_without_streaming(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 40, "b.txt": 30})
    streamed = data_module(tmp_path / "corpus", validation_fraction=0.2)
    read = data_module(tmp_path / "corpus", validation_fraction=0.2, streaming=False)
    assert streamed.validation_texts() == read.validation_texts()


def test_only_the_first_held_out_are_validated_on_and_none_of_the_others_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 60, "b.txt": 30})
    all_held_out = data_module(tmp_path / "corpus", validation_fraction=0.3).validation_texts()
    monkeypatch.setattr(module, "COUNT", 5)
    (tmp_path / "corpus" / "b.txt").write_text("\n".join([*everything[60:], "what damage"]) + "\n")
    few = data_module(tmp_path / "corpus", validation_fraction=0.3).validation_texts()
    assert few == all_held_out[:5]
    (trained,) = epochs(stream(tmp_path / "corpus", validation_fraction=0.3), 0)
    assert not {text for batch in trained for text in batch} & set(all_held_out)


def test_a_copy_of_a_validation_text_is_not_trained_on(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 40})
    held_out = data_module(tmp_path / "corpus", validation_fraction=0.2).validation_texts()
    row = json.dumps({"id": "a copy", "paragraphs": [held_out[0], paragraph("x", 1)]})
    (tmp_path / "corpus" / "b.jsonl").write_text(row + "\n")
    (trained,) = epochs(stream(tmp_path / "corpus", validation_fraction=0.2), 0)
    expected = {*everything, paragraph("x", 1)} - set(held_out)
    assert {text for batch in trained for text in batch} == expected


def test_a_separate_source_validates_and_none_of_it_is_trained_on(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 30})
    other = write_file(tmp_path / "other.txt", [*everything[3:6], paragraph("o", 1)])
    data = data_module(tmp_path / "corpus", validation=str(other))
    assert data.validation_texts() == [*everything[3:6], paragraph("o", 1)]
    (trained,) = epochs(stream(tmp_path / "corpus", validation=str(other)), 0)
    assert {text for batch in trained for text in batch} == {*everything[:3], *everything[6:]}


def test_a_fraction_that_holds_out_nothing_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 5})
    with pytest.raises(UserError, match=r"none of the 5 documents of .* is held out by validation_fraction=1e-06"):
        data_module(tmp_path / "corpus", validation_fraction=1e-6)


def test_what_is_evaluated_with_is_not_streamed(tmp_path: Path) -> None:
    write_folder(tmp_path / "evaluation_only", {"a.jsonl": 5})
    with pytest.raises(UserError, match="never to train on"):
        data_module(tmp_path / "evaluation_only")


def test_the_record_of_what_was_trained_on_says_files_and_sizes(tmp_path: Path) -> None:
    def record(folder: str, sizes: dict[str, int]) -> dict[str, object]:
        write_folder(tmp_path / folder / "corpus", sizes)
        return data_module(tmp_path / folder / "corpus").training_corpus

    first = record("one", {"a.jsonl": 5, "b.txt": 7})
    assert first["examples"] is None
    assert record("two", {"a.jsonl": 5, "b.txt": 7}) == first
    assert record("three", {"a.jsonl": 5, "b.txt": 8}) != first
    assert record("four", {"a.jsonl": 5, "c.txt": 7}) != first


def test_validation_is_read_without_streaming(tmp_path: Path) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 40})
    data = data_module(tmp_path / "corpus", validation_fraction=0.2)
    assert isinstance(data, DataModule)
    assert len(list(data.val_dataloader())) == len(data.val_dataloader()) > 1
