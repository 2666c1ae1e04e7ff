"""Every objective trains from a stream, with the same collators, and says how long it waited."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest

from llm2comp.backbone.lora import LoRA
from llm2comp.data.datamodule import DataModule
from llm2comp.modules import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import MNTP, Contrastive, Distillation
from llm2comp.objectives.base import Objective
from llm2comp.reporting.throughput import Throughput
from tests.data.streaming.streams import OPTIONS, write_folder

PAIRS = {"token_budget": None, "batch_size": 4}
MASKS = {"num_memory_tokens": 0, "pooling": "mean"}


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize(
    ("objective", "data", "model"),
    [
        (Distillation(), {}, {}),
        (MNTP(mask_token="a"), {}, MASKS),
        (Contrastive(), PAIRS, {}),
    ],
    ids=["distillation", "mntp", "contrastive"],
)
def test_an_objective_trains_from_a_stream(
    tmp_path: Path,
    lm_folder: Path,
    objective: Objective,
    data: dict[str, Any],
    model: dict[str, Any],
    num_workers: int,
) -> None:
    write_folder(tmp_path / "corpus", {"a.jsonl": 30, "b.txt": 20})
    lora = LoRA(rank=2, alpha=4, dropout=0.0)
    module = EncoderTraining(str(lm_folder), objective, lora, Optimization(1e-3), max_length=128, **model)
    source = DataModule(str(tmp_path / "corpus"), **{**OPTIONS, **data}, num_workers=num_workers)
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=4,
        val_check_interval=4,
        log_every_n_steps=2,
        limit_val_batches=1,
        callbacks=[Throughput()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, source)
    measured = trainer.callback_metrics
    assert trainer.global_step == 4
    assert measured["train/loss"] > 0
    assert 0 < measured["train/data_wait"] < 1
    assert "val/loss" in measured
