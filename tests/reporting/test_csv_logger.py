"""A resumed run's metrics.csv is that of a run that was never stopped."""

from pathlib import Path

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from llm2comp.reporting.csv_logger import CSVLogger
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.resumed_metrics import ResumedMetrics


class Logging(pl.LightningModule):
    """Logs its steps' numbers, times `factor`, to tell one run's rows from another's."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(1, 1)
        self.factor = factor

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.log("train/step", self.factor * self.global_step)
        return self.layer(batch).sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("val/step", self.factor * self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, max_steps: int, log_every: int) -> pl.Trainer:
    return pl.Trainer(
        max_steps=max_steps,
        accelerator="cpu",
        callbacks=[ResumedMetrics(), pl.callbacks.ModelCheckpoint(every_n_train_steps=6, save_top_k=-1)],
        logger=CSVLogger(folder),
        log_every_n_steps=log_every,
        val_check_interval=4,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_rows_after_the_checkpoint_are_dropped_and_those_before_kept(tmp_path: Path):
    loader = DataLoader(torch.ones(50, 1))
    first = trainer(tmp_path, 11, log_every=1)
    first.validate(Logging(1), loader, verbose=False)
    first.fit(Logging(1), loader, loader)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert "step=6" in checkpoint.name
    # Logged every fourth step now: rows of steps 6 to 10 must go though none of 6, 8, 9 and 10 is logged again.
    trainer(tmp_path, 14, log_every=4).fit(Logging(100), loader, loader, ckpt_path=checkpoint, weights_only=True)
    series = read_metrics(tmp_path / "metrics.csv")
    assert series["train/step"] == [*((step, float(step)) for step in range(6)), (7, 700.0), (11, 1100.0)]
    assert series["val/step"] == [(0, 0.0), (3, 4.0), (7, 800.0), (11, 1200.0)]
    steps = [step for step, _ in series["epoch"]]
    assert steps == sorted(set(steps))
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "metrics.csv"}
