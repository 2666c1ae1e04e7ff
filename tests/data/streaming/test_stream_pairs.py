"""Pairs are streamed in whole batches; held-out and evaluated pairs stay out."""

import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import ModelCheckpoint

from llm2comp.data.datamodule import DataModule
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.streaming.made_buffers import MadeBuffers, unpack
from llm2comp.data.streaming.stream import Place
from llm2comp.errors import UserError
from tests.data.pairs import PairRecorder, numbered, texts_of, write_rows
from tests.data.runs import trainer
from tests.data.streaming.streams import data_module, stream, write_folder

PAIRS: dict[str, Any] = {"token_budget": None, "batch_size": 6, "buffer_size": 13, "max_tokens": None}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    numbered(tmp_path / "corpus", "a", 13, negatives=2)
    numbered(tmp_path / "corpus", "b", 24, negatives=2)
    return tmp_path / "corpus"


def batches(source: Path, num_workers: int = 0, epoch: int = 0, **options: Any) -> list[list[str]]:
    """The texts of an epoch's batches."""
    one = stream(source, model=PairRecorder(), **{**PAIRS, **options})
    seen = []
    for buffer in MadeBuffers(one, Place()).loader(num_workers):
        if isinstance(buffer, Exception):
            raise buffer
        if buffer.place.epoch > epoch:
            return seen
        if buffer.place.epoch == epoch:
            seen += [texts_of(unpack(batch)) for batch in buffer.batches]
    raise AssertionError("a stream has no end")


def queries(made: list[list[str]]) -> list[str]:
    return [text for batch in made for text in batch if not text.endswith(("yes", "no 0", "no 1"))]


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_processes_share_the_pairs_in_whole_batches(corpus: Path, world_size: int) -> None:
    shares = [batches(corpus, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = [query for share in shares for query in queries(share)]
    assert len(seen) == len(set(seen)) == 36
    # A query, its positive and one hard negative.
    assert {len(batch) for share in shares for batch in share} == {3 * 6 // world_size}


def test_workers_change_nothing_and_epochs_draw_other_negatives(corpus: Path) -> None:
    first, second = batches(corpus), batches(corpus, epoch=1)
    assert batches(corpus, num_workers=2) == first
    assert batches(corpus, num_workers=2, epoch=1) == second

    def drawn(made: list[list[str]]) -> set[str]:
        return {text for batch in made for text in batch if " no " in text}

    assert drawn(first) != drawn(second)


def test_plain_text_is_paired_with_itself(tmp_path: Path) -> None:
    everything = write_folder(tmp_path / "corpus", {"a.jsonl": 6, "b.txt": 6})
    made = batches(tmp_path / "corpus")
    assert all(batch[:6] == batch[6:] for batch in made)
    assert sorted(text for batch in made for text in batch[:6]) == sorted(everything)


def test_no_query_is_trained_on_and_validated_on(corpus: Path) -> None:
    data = data_module(corpus, model=PairRecorder(), **PAIRS, validation_fraction=0.2)
    held_out = {text.removesuffix(" yes") for text in data.validation_texts()}
    trained = queries(batches(corpus, validation_fraction=0.2, batch_size=2))
    assert len(held_out) > 2
    assert not {" ".join(query.split()[:2]) for query in trained} & held_out
    assert len(trained) in (37 - len(held_out), 36 - len(held_out))


def test_pairs_of_an_evaluation_set_are_dropped_or_refused(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated = json.loads((corpus / "b.jsonl").read_text().splitlines()[6])["query"]
    (corpus.parent / "mirror" / "org" / "task").mkdir(parents=True)
    write_rows(corpus.parent / "mirror" / "org" / "task" / "test.jsonl", [{"sentence1": evaluated.upper()}])
    monkeypatch.setenv("LLM2COMP_DATA", str(corpus.parent))
    assert evaluated in queries(batches(corpus, guard="off"))
    for epoch in range(2):
        kept = queries(batches(corpus, epoch=epoch))
        assert len(kept) == 36
        assert evaluated not in kept
    with pytest.raises(UserError, match="corpus has a pair with a text of org/task; set guard to drop"):
        batches(corpus, guard="refuse")


def test_too_few_pairs_for_a_batch_are_refused(corpus: Path) -> None:
    data = DataModule(str(corpus), streaming=True, batch_size=64, validation_fraction=0.0)
    with pytest.raises(UserError, match="ends before there is one batch: a process needs 64 pairs"):
        trainer(corpus.parent, max_steps=2).fit(PairRecorder(), data)


def test_resume_continues_with_the_next_batch(corpus: Path) -> None:
    def fit(ckpt_path: Path | None = None, **options: Any) -> list[Any]:
        model = PairRecorder()
        sets = [PairSet(str(corpus), max_negatives=2)]
        data = DataModule(sets, streaming=True, batch_size=4, buffer_size=12, num_workers=1)
        trainer(corpus.parent, **options).fit(model, data, ckpt_path=ckpt_path, weights_only=True)
        return model.seen

    straight = fit(max_steps=20)
    saving = ModelCheckpoint(corpus.parent / "ckpt", every_n_train_steps=11, save_top_k=-1, filename="{step}")
    first = fit(max_steps=11, callbacks=[saving], enable_checkpointing=True)
    assert first + fit(corpus.parent / "ckpt" / "step=11.ckpt", max_steps=20) == straight
