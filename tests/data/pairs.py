"""Files of pairs, and the data of a tiny model that reads them."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch

from llm2comp.data.batches import ContrastiveBatch
from llm2comp.data.datamodule import DataModule
from llm2comp.data.pair_data import PairData
from tests.tiny import tiny_tokenizer

WORDS = ["fox", "dog", "text", "memory", "token", "frozen", "decoder", "brown", "lazy", "encoder"]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def numbered(folder: Path, name: str, count: int, negatives: int = 0) -> Path:
    """`count` distinct pairs, their texts beginning with the name and a number."""
    return write_rows(
        folder / f"{name}.jsonl",
        (
            {
                "query": f"{name} {i} " + " ".join(WORDS[: 1 + i % 7]),
                "positive": f"{name} {i} yes",
                "negative": [f"{name} {i} no {j}" for j in range(negatives)],
            }
            for i in range(count)
        ),
    )


class PairRecorder(L.LightningModule):
    """`seen[i]` is what the i-th training batch held: the texts of its rows, BOS left out."""

    def __init__(self, max_text_tokens: int = 128, pool_instructions: bool = True) -> None:
        super().__init__()
        self.tokenizer = tiny_tokenizer()
        self.objective = SimpleNamespace(batch_type=ContrastiveBatch)
        self.max_text_tokens = max_text_tokens
        self.encoder_config = SimpleNamespace(pool_instructions=pool_instructions)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[str]] = []

    def training_step(self, batch: ContrastiveBatch, batch_idx: int) -> torch.Tensor:
        self.seen.append(texts_of(batch))
        return self.weight.sum() * batch.num_tokens

    def validation_step(self, batch: ContrastiveBatch, batch_idx: int) -> None:
        assert batch.num_pairs >= 2

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def texts_of(batch: ContrastiveBatch) -> list[str]:
    """The text of every row."""
    decode = tiny_tokenizer().decode
    return [decode(ids[mask.bool()][1:]) for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)]


def pair_data(train: Any, model: PairRecorder | None = None, **options: Any) -> PairData:
    settings = DataModule(train, **{"batch_size": 4, "min_characters": 1, "validation_fraction": 0.0, **options})
    return PairData(settings.settings, model or PairRecorder())
