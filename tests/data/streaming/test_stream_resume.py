"""A resumed stream goes on with exactly the batches that the run without interruption trains on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint

from llm2comp.data.datamodule import DataModule
from llm2comp.data.streaming import loader as module
from llm2comp.errors import UserError
from tests.data.runs import Recorder, trainer
from tests.data.streaming.streams import OPTIONS, write_folder

NO_VALIDATION = {"validation_fraction": 0.0}
SIZES = {"a.jsonl": 11, "b.jsonl.gz": 25, "c.parquet": 16}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_folder(tmp_path / "corpus", SIZES)
    return tmp_path / "corpus"


def fit(corpus: Path, ckpt_path: Path | None = None, data: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    model = Recorder()
    module = DataModule(str(corpus), **OPTIONS, **(data or {}))
    trainer(corpus.parent, **options).fit(model, module, ckpt_path=ckpt_path, weights_only=True)
    return model.seen


def saving(corpus: Path, steps: int) -> dict[str, Any]:
    callback = ModelCheckpoint(corpus.parent / "ckpt", every_n_train_steps=steps, save_top_k=-1, filename="{step}")
    return {"callbacks": [callback], "enable_checkpointing": True}


@pytest.mark.parametrize("exchange_every", [1, 3, 64])
@pytest.mark.parametrize("stop", [1, 4, 9, 17])
def test_resume_continues_with_the_next_batch(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, stop: int, exchange_every: int
) -> None:
    monkeypatch.setattr(module, "_EXCHANGE_EVERY", exchange_every)
    straight = fit(corpus, max_steps=24)
    first = fit(corpus, max_steps=stop, **saving(corpus, stop))
    rest = fit(corpus, corpus.parent / "ckpt" / f"step={stop}.ckpt", max_steps=24)
    assert first + rest == straight
    assert len({str(batch) for batch in straight}) == 24


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (2, 1)])
def test_the_number_of_workers_may_change(corpus: Path, before: int, after: int) -> None:
    straight = fit(corpus, max_steps=16)
    first = fit(corpus, data={"num_workers": before}, max_steps=7, **saving(corpus, 7))
    checkpoint = corpus.parent / "ckpt" / "step=7.ckpt"
    assert first + fit(corpus, checkpoint, {"num_workers": after}, max_steps=16) == straight


def test_a_resumed_run_can_be_resumed_and_accumulate(corpus: Path) -> None:
    options = {"accumulate_grad_batches": 2}
    straight = fit(corpus, max_steps=11, **options)
    first = fit(corpus, max_steps=3, **options, **saving(corpus, 3))
    second = fit(corpus, corpus.parent / "ckpt" / "step=3.ckpt", max_steps=6, **options, **saving(corpus, 3))
    third = fit(corpus, corpus.parent / "ckpt" / "step=6.ckpt", max_steps=11, **options)
    assert first + second + third == straight


def test_a_batch_that_was_not_trained_on_comes_again(corpus: Path) -> None:
    straight = fit(corpus, max_steps=9)
    model = Recorder()
    model.interrupt_at = 5
    with pytest.raises(RuntimeError, match="in the middle"):
        trainer(
            corpus.parent,
            max_steps=9,
            callbacks=[OnExceptionCheckpoint(corpus.parent, filename="interrupted")],
            enable_checkpointing=True,
        ).fit(model, DataModule(str(corpus), **OPTIONS))
    assert model.seen + fit(corpus, corpus.parent / "interrupted.ckpt", max_steps=9) == straight


def test_a_run_stopped_by_a_damaged_file_goes_on_when_it_is_repaired(corpus: Path) -> None:
    straight = fit(corpus, data=NO_VALIDATION, max_steps=30)
    whole = (corpus / "b.jsonl.gz").read_bytes()
    (corpus / "b.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    saved = {
        "callbacks": [OnExceptionCheckpoint(corpus.parent, filename="interrupted")],
        "enable_checkpointing": True,
    }
    model = Recorder()
    with pytest.raises(UserError, match=r"b\.jsonl\.gz, after line \d+: not a whole gzip file"):
        trainer(corpus.parent, max_steps=30, **saved).fit(model, DataModule(str(corpus), **OPTIONS, **NO_VALIDATION))
    (corpus / "b.jsonl.gz").write_bytes(whole)
    rest = fit(corpus, corpus.parent / "interrupted.ckpt", NO_VALIDATION, max_steps=30)
    assert len(model.seen) > 2
    assert model.seen + rest == straight


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"buffer_size": 9}, "buffer_size was 7 and is 9"),
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"validation_fraction": 0.2}, "held_out was"),
        ({"min_characters": 70}, "min_characters was 1 and is 70"),
    ],
)
def test_a_checkpoint_of_another_stream_is_refused(corpus: Path, changed: dict[str, Any], message: str) -> None:
    fit(corpus, max_steps=2, **saving(corpus, 2))
    checkpoint = corpus.parent / "ckpt" / "step=2.ckpt"
    module = DataModule(str(corpus), **{**OPTIONS, **changed})
    with pytest.raises(UserError, match=message):
        trainer(corpus.parent, max_steps=4).fit(Recorder(), module, ckpt_path=checkpoint, weights_only=True)


def test_a_checkpoint_of_more_processes_is_refused(corpus: Path) -> None:
    fit(corpus, max_steps=2, **saving(corpus, 2))
    checkpoint = corpus.parent / "ckpt" / "step=2.ckpt"
    state = torch.load(checkpoint, weights_only=True)
    assert state["DataModule"]["processes"] == 1
    state["DataModule"]["processes"] = 2
    torch.save(state, checkpoint)
    with pytest.raises(UserError, match="a stream goes on with as many processes as it was saved with, 2, not 1"):
        fit(corpus, checkpoint, max_steps=4)


def test_another_folder_is_refused(corpus: Path) -> None:
    fit(corpus, data=NO_VALIDATION, max_steps=2, **saving(corpus, 2))
    (corpus / "a.jsonl").rename(corpus / "d.jsonl")
    with pytest.raises(UserError, match="files was"):
        fit(corpus, corpus.parent / "ckpt" / "step=2.ckpt", NO_VALIDATION, max_steps=4)
