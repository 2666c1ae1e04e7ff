"""Two real processes train on different examples, take the same number of steps, and resume."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from llm2comp.data.datamodule import DataModule
from llm2comp.data.streaming import loader as module
from tests.data.runs import Recorder, trainer
from tests.data.streaming.streams import OPTIONS, write_folder


class WritingRecorder(Recorder):
    """Writes what it was given to a file for each process and run."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_end(self) -> None:
        (self.folder / f"seen-{self.global_rank}.json").write_text(json.dumps(self.seen))


def fit(corpus: Path, steps: int, ckpt_path: Path | None = None, **options: Any) -> list[list[Any]]:
    """What each of two processes was given."""
    data = DataModule(str(corpus), **OPTIONS, validation_fraction=0.0, num_workers=1)
    run = trainer(corpus.parent, max_steps=steps, strategy="ddp_fork", devices=2, **options)
    run.fit(WritingRecorder(corpus.parent), data, ckpt_path=ckpt_path, weights_only=True)
    return [json.loads((corpus.parent / f"seen-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a process that has used CUDA cannot be forked")
def test_two_processes_share_an_epoch_and_resume_where_each_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXCHANGE_EVERY", 4)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")
    corpus = tmp_path / "corpus"
    everything = write_folder(corpus, {"a.jsonl": 11, "b.txt": 26})
    straight = fit(corpus, 20)
    assert [len(seen) for seen in straight] == [20, 20]
    firsts = [[("".join(row)) for batch in seen for row in batch] for seen in straight]
    # 19 and 18 paragraphs are the shares of 37.
    assert sorted(firsts[0][:19] + firsts[1][:18]) == sorted(everything)

    saving = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=6, save_top_k=-1, filename="{step}")
    first = fit(corpus, 6, callbacks=[saving], enable_checkpointing=True)
    rest = fit(corpus, 20, tmp_path / "ckpt" / "step=6.ckpt")
    assert [begun + ended for begun, ended in zip(first, rest, strict=True)] == straight
