"""Speed is of real tokens in training steps alone."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from llm2comp.reporting import throughput
from llm2comp.reporting.csv_logger import CSVLogger
from llm2comp.reporting.matmul_peak import matmul_peak
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.throughput import Throughput

STEP_SECONDS = 0.05


@dataclass
class Batch:
    attention_mask: Tensor  # [1, 4]

    @property
    def num_tokens(self) -> int:
        return int(self.attention_mask.sum())


class Sleeping(pl.LightningModule):
    """Takes a known time for a step, and much longer for validation and for saving."""

    compute_dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=False)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        time.sleep(STEP_SECONDS)
        return self.layer.weight.sum()

    def flops(self, batch: Batch) -> float:
        return 1e6 * batch.num_tokens

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        time.sleep(4 * STEP_SECONDS)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        time.sleep(4 * STEP_SECONDS)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def measure(folder: Path, train: Any = None, **options: Any) -> dict[str, list[tuple[int, float]]]:
    # Three real tokens of four.
    masks = torch.tensor([0, 1, 1, 1]).expand(8, 1, 4)
    loader: DataLoader = DataLoader(list(masks), batch_size=None, collate_fn=Batch)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=CSVLogger(folder),
        callbacks=[Throughput(), pl.callbacks.ModelCheckpoint(folder, every_n_train_steps=1)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(Sleeping(), train or loader, loader)
    return read_metrics(folder / "metrics.csv")


@pytest.fixture(autouse=True)
def peak(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    asked = []
    monkeypatch.setattr(throughput, "matmul_peak", lambda device, dtype: asked.append(dtype) or 1e9)
    return asked


def test_only_training_steps_count(tmp_path: Path):
    series = measure(tmp_path, max_steps=4, log_every_n_steps=2, val_check_interval=1, limit_val_batches=1)
    assert [step for step, _ in series["train/tokens_per_second"]] == [1, 3]
    # With validation and saving it would be a ninth; other programs may take half.
    for _, speed in series["train/tokens_per_second"]:
        assert 0.5 * 3 / STEP_SECONDS < speed <= 3 / STEP_SECONDS
    for (_, speed), (_, mfu) in zip(series["train/tokens_per_second"], series["train/mfu"], strict=True):
        assert mfu == pytest.approx(1e6 * speed / 1e9, rel=1e-4)


def test_accumulated_batches_count_once_and_all(tmp_path: Path):
    series = measure(tmp_path, max_steps=2, log_every_n_steps=1, accumulate_grad_batches=3, limit_val_batches=0)
    assert [step for step, _ in series["train/tokens_per_second"]] == [0, 1]
    for _, speed in series["train/tokens_per_second"]:
        assert 0.5 * 3 / STEP_SECONDS < speed <= 3 / STEP_SECONDS


def test_tokens_are_summed_over_processes(tmp_path: Path):
    if torch.cuda.is_initialized():
        pytest.skip("a process that has used CUDA cannot be forked")
    series = measure(tmp_path, max_steps=2, log_every_n_steps=2, limit_val_batches=0, strategy="ddp_fork", devices=2)
    ((_, speed),) = series["train/tokens_per_second"]
    ((_, mfu),) = series["train/mfu"]
    # Utilisation is the mean: per process, half of the tokens that are made in all.
    assert mfu == pytest.approx(1e6 * speed / 2 / 1e9, rel=1e-4)
    assert 0.5 * 6 / STEP_SECONDS < speed <= 6 / STEP_SECONDS


class Slow:
    """A loader that training waits for, and that says for how long."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.seconds_waited = seconds, 0.0

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(12):
            started = time.perf_counter()
            time.sleep(self.seconds)
            self.seconds_waited += time.perf_counter() - started
            yield Batch(torch.ones(1, 4))


@pytest.mark.parametrize("seconds", [0.0, STEP_SECONDS / 4, STEP_SECONDS])
def test_the_wait_for_data_is_a_share_of_the_time(tmp_path: Path, seconds: float):
    series = measure(tmp_path, Slow(seconds), max_steps=9, log_every_n_steps=3, limit_val_batches=0)
    assert [step for step, _ in series["train/data_wait"]] == [2, 5, 8]
    # The batch after the next is fetched before the first, so the first value has one wait more.
    for _, share in series["train/data_wait"][1:]:
        assert share == pytest.approx(seconds / (seconds + STEP_SECONDS), rel=0.25, abs=0.1)


def test_a_loader_that_does_not_tell_is_not_asked(tmp_path: Path):
    series = measure(tmp_path, max_steps=2, log_every_n_steps=1, limit_val_batches=0)
    assert "train/tokens_per_second" in series
    assert "train/data_wait" not in series


@pytest.mark.parametrize(
    ("precision", "dtype"), [("bf16-mixed", torch.bfloat16), ("bf16-true", torch.bfloat16), ("32-true", torch.float32)]
)
def test_the_peak_is_that_of_the_training_precision(tmp_path: Path, peak: list, precision: str, dtype: torch.dtype):
    measure(tmp_path, max_steps=1, log_every_n_steps=1, limit_val_batches=0, precision=precision)
    assert peak == [dtype]


def test_the_peak_is_quick_repeatable_and_leaves_random_numbers_alone():
    state = torch.get_rng_state()
    started = time.perf_counter()
    first = matmul_peak(torch.device("cpu"), torch.float32)
    assert time.perf_counter() - started < 2
    assert torch.equal(torch.get_rng_state(), state)
    assert first > 1e9
    assert 1 / 3 < first / matmul_peak(torch.device("cpu"), torch.float32) < 3
