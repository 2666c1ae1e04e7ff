"""A tiny LightningModule that notes the batches it was given, and a Trainer that does nothing else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch

from llm2comp.data.batches import CompressionBatch
from llm2comp.data.datamodule import DataModule
from tests.tiny import tiny_tokenizer


class Recorder(L.LightningModule):
    """`seen[i]` is what the i-th training batch held: for every row its text and its continuation."""

    def __init__(self, max_text_tokens: int = 128) -> None:
        super().__init__()
        self.tokenizer = tiny_tokenizer()
        self.objective = SimpleNamespace(batch_type=CompressionBatch)
        self.max_text_tokens = max_text_tokens
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[tuple[str, str]]] = []
        self.seen_in_validation: list[list[tuple[str, str]]] = []
        self.interrupt_at: int | None = None

    def training_step(self, batch: CompressionBatch, batch_idx: int) -> torch.Tensor:
        if self.interrupt_at == len(self.seen):
            raise RuntimeError("stopped in the middle of a step")
        self.seen.append(rows(batch))
        return self.weight.sum() * batch.num_tokens

    def validation_step(self, batch: CompressionBatch, batch_idx: int) -> None:
        self.seen_in_validation.append(rows(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def rows(batch: CompressionBatch) -> list[tuple[str, str]]:
    """Text and continuation of every row."""
    decode = tiny_tokenizer().decode
    texts = [decode(ids[mask.bool()][1:]) for ids, mask in zip(batch.text_ids, batch.text_mask, strict=True)]
    targets = [decode(ids[mask.bool()]) for ids, mask in zip(batch.target_ids, batch.target_mask, strict=True)]
    return list(zip(texts, targets, strict=True))


def trainer(folder: Path, **options: Any) -> L.Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    options = {"enable_checkpointing": False, "max_epochs": -1, **options}
    return L.Trainer(accelerator="cpu", default_root_dir=folder, **quiet, **options)


def set_up(data: DataModule, folder: Path, **model: Any) -> DataModule:
    """The data as a Trainer sets it up."""
    data.trainer = trainer(folder)
    data.trainer.strategy.connect(Recorder(**model))
    data.prepare_data()
    data.setup("fit")
    return data
