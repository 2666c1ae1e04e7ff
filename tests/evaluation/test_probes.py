"""Probes in a real Trainer: what is logged and when, that it repeats, and that training does not notice."""

import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from llm2comp.errors import UserError
from llm2comp.evaluation.probes import Probes

# Twenty topics; a text is six times its topic's word.
TEXTS = [" ".join([f"topic{n}"] * 6) for n in range(20)]


class WordEncoder(nn.Module):
    """Adds up a random direction for each word; disturbs all it can on the way."""

    max_length = 64
    num_memory_tokens = 3

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.calls: list[tuple[list[str], int | None]] = []
        self.autocast: list[bool] = []

    def encode(
        self, texts: Sequence[str], *, max_length: int | None = None, show_progress: bool | None = None
    ) -> np.ndarray:
        self.calls.append((list(texts), max_length))
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        self.train(not self.training)
        torch.rand(3), np.random.rand(3), random.random()
        words = [[np.random.default_rng(zlib.crc32(w.encode())).normal(size=24) for w in t.split()] for t in texts]
        embeddings = np.stack([np.sum(word, axis=0) for word in words])
        return (self.scale.item() * embeddings + (self.scale.item() == 0)).astype(np.float32)


class Module(LightningModule):
    """Its loss is random, so that a disturbed random state shows; it checks that modes are as they were."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = WordEncoder()
        self.losses: list[float] = []

    def training_step(self, batch: Tensor) -> Tensor:
        loss = self.encoder.scale * torch.rand(()) * random.random() * np.random.rand()
        self.losses.append(loss.item())
        return loss

    def on_validation_epoch_start(self) -> None:
        self.before = [module.training for module in self.modules()]

    def validation_step(self, batch: Tensor) -> None:
        pass

    def on_validation_epoch_end(self) -> None:  # called after the callbacks'
        assert [module.training for module in self.modules()] == self.before

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Data(LightningDataModule):
    def __init__(self, texts: list[str] = TEXTS) -> None:
        super().__init__()
        self.texts = texts

    def train_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(4, 1))

    def val_dataloader(self) -> DataLoader:
        return DataLoader(torch.zeros(1, 1))

    def validation_texts(self) -> list[str]:
        return self.texts


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)


def make_trainer(*callbacks: object, folder: Path | None = None, **options: object) -> Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(
        accelerator="cpu",
        callbacks=list(callbacks),
        default_root_dir=folder,
        enable_checkpointing=any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        **{**quiet, "max_epochs": 2, "num_sanity_val_steps": 1, **options},
    )


def measure(probes: Probes, module: Module | None = None, texts: list[str] = TEXTS) -> dict[str, float]:
    [measured] = make_trainer(probes).validate(module or Module(), Data(texts), verbose=False)
    return measured


@pytest.fixture
def sts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror with three pairs: the same words, half of them, none."""
    rows = [("a b", "b a", 5.0), ("a b", "a c", 3.0), ("a b", "c d", 0.0)]
    folder = tmp_path / "mirror" / "mteb" / "stsbenchmark-sts"
    folder.mkdir(parents=True)
    lines = [json.dumps(dict(zip(("sentence1", "sentence2", "score"), row, strict=True))) for row in rows]
    (folder / "validation.jsonl").write_text("\n".join(lines))
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path))
    return folder


def test_measures_before_and_during_training_but_not_in_the_sanity_check():
    module, probes = Module(), Probes()
    trainer = make_trainer(probes)
    [before] = trainer.validate(module, Data(), verbose=False)
    assert before["val/retrieval_mrr"] == 1
    assert 10 < before["val/effective_dimension"] <= 19
    assert len(module.encoder.calls) == 1
    trainer.fit(module, Data())
    assert len(module.encoder.calls) == 3
    assert module.encoder.calls[0] == module.encoder.calls[2]
    assert set(before) <= set(trainer.callback_metrics)


def test_follows_the_encoder():
    module = Module()
    with torch.no_grad():
        module.encoder.scale.zero_()  # every text in one point
    assert measure(Probes(), module) == {"val/retrieval_mrr": 0, "val/effective_dimension": 0}


def test_the_dimension_is_of_unit_vectors():
    lengths = [" ".join([f"topic{n}"] * 2 * (n + 1)) for n in range(20)]
    assert measure(Probes(), texts=lengths) == pytest.approx(measure(Probes()), abs=1e-4)


def test_unlike_halves_do_not_find_each_other():
    unlike = [f"left{n} left{n} right{n} right{n}" for n in range(20)]
    assert measure(Probes(), texts=unlike)["val/retrieval_mrr"] < 0.5


def test_reads_the_start_of_each_half():
    module = Module()
    measure(Probes(retrieval_texts=5, retrieval_tokens=7), module)
    [(texts, max_length)] = module.encoder.calls
    assert len(texts) == 10
    assert max_length == 1 + 7 + module.encoder.num_memory_tokens
    assert all(first == second for first, second in zip(texts[:5], texts[5:], strict=True))
    measure(Probes(retrieval_tokens=500), module)
    assert module.encoder.calls[1][1] == module.encoder.max_length


def test_the_choice_of_texts_hangs_on_its_seed_alone():
    def chosen(seed: int) -> list[str]:
        module = Module()
        measure(Probes(retrieval_texts=5, seed=seed), module)
        return module.encoder.calls[0][0]

    torch.manual_seed(1), random.seed(1)
    first = chosen(0)
    torch.manual_seed(2), random.seed(2)
    assert chosen(0) == first
    assert chosen(1) != first


def test_the_same_text_twice_counts_once():
    module = Module()
    assert measure(Probes(), module, texts=TEXTS * 2)["val/retrieval_mrr"] == 1
    assert len(module.encoder.calls[0][0]) == 2 * len(TEXTS)


def test_training_does_not_notice():
    runs = []
    for callbacks in ([Probes()], []):
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        module = Module()
        make_trainer(*callbacks, val_check_interval=1).fit(module, Data())
        assert len(module.encoder.calls) == 8 * len(callbacks)
        runs.append(module.losses)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 8


def test_runs_in_the_precision_of_the_trainer():
    module = Module()
    make_trainer(Probes(), precision="bf16-mixed").validate(module, Data(), verbose=False)
    measured = measure(Probes(), module)
    assert module.encoder.autocast == [True, False]
    [half] = make_trainer(Probes(), precision="bf16-true").validate(module, Data(), verbose=False)
    assert half == measured


def test_checkpoints_can_follow_a_probe(tmp_path: Path):
    best = ModelCheckpoint(tmp_path, monitor="val/retrieval_mrr", mode="max")
    make_trainer(Probes(), best, folder=tmp_path).fit(Module(), Data())
    assert best.best_model_score == 1


def test_measures_sts_where_there_is_data(sts_folder: Path):
    module = Module()
    assert measure(Probes(), module)["val/sts_spearman"] == pytest.approx(100, abs=1e-3)
    texts, max_length = module.encoder.calls[1]
    assert sorted(texts) == ["a b", "a c", "b a", "c d"]
    assert max_length is None
    measure(Probes(sts_limit=2), module)
    assert len(module.encoder.calls[3][0]) == 3
    assert "val/sts_spearman" not in measure(Probes(sts=False))


def test_bad_sts_data_stops_before_training(sts_folder: Path):
    (sts_folder / "validation.jsonl").write_text("{}")
    module = Module()
    with pytest.raises(UserError, match="line 1"):
        make_trainer(Probes()).fit(module, Data())
    assert not module.losses


def test_one_text_is_too_few_to_measure_but_not_to_train():
    with pytest.warns(UserWarning, match="fewer than two held-out texts"):
        assert measure(Probes(), texts=TEXTS[:1] * 3) == {}


def test_what_it_cannot_work_with_is_refused():
    with pytest.raises(UserError, match="retrieval_texts is 1"):
        Probes(retrieval_texts=1)
    with pytest.raises(UserError, match="retrieval_tokens is 0"):
        Probes(retrieval_tokens=0)
    with pytest.raises(UserError, match="sts_limit is 1"):
        Probes(sts_limit=1)
    with pytest.raises(UserError, match="validation_texts"):
        make_trainer(Probes()).validate(Module(), DataLoader(torch.zeros(1, 1)), verbose=False)
