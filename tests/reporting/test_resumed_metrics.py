"""metrics.csv of a run that was cut short and resumed has each step once, wherever the cut was."""

from pathlib import Path

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from llm2comp.reporting.csv_logger import CSVLogger
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.resumed_metrics import ResumedMetrics


class Module(L.LightningModule):
    """Fails, after five steps, at the point of that name."""

    def __init__(self, cut: str | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.cut = cut

    def _reach(self, point: str, steps: int = 5) -> None:
        if self.cut == point and self.global_step == steps:
            raise RuntimeError("cut short")

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self._reach("in a step")
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self._reach("in a validation")

    def on_validation_end(self) -> None:
        self._reach("after a validation")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: Module, folder: Path, ckpt: Path | None = None) -> None:
    """Nine steps, with a validation after each fifth, saved as they end or are cut short."""
    trainer = L.Trainer(
        max_steps=9,
        val_check_interval=5,
        accelerator="cpu",
        callbacks=[ResumedMetrics()],
        logger=CSVLogger(folder),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
    )
    training, validation = (DataLoader(torch.ones(n, 1), batch_size=1) for n in (20, 1))
    try:
        trainer.fit(module, training, validation, ckpt_path=ckpt)
    finally:
        trainer.save_checkpoint(folder / "last.ckpt")


@pytest.mark.parametrize("cut", ["in a step", "in a validation", "after a validation"])
def test_each_step_is_there_once(tmp_path: Path, cut: str):
    with pytest.raises(RuntimeError, match="cut short"):
        fit(Module(cut), tmp_path)
    assert [step for step, _ in read_metrics(tmp_path / "metrics.csv")["train/loss"]] == list(range(5))
    fit(Module(), tmp_path, tmp_path / "last.ckpt")
    assert [step for step, _ in read_metrics(tmp_path / "metrics.csv")["train/loss"]] == list(range(9))


def test_what_was_logged_after_the_checkpoint_is_dropped(tmp_path: Path):
    with pytest.raises(RuntimeError, match="cut short"):
        fit(Module("in a step"), tmp_path)
    CSVLogger(tmp_path).log_metrics({"train/loss": 99.0}, step=5)
    fit(Module(), tmp_path, tmp_path / "last.ckpt")
    losses = read_metrics(tmp_path / "metrics.csv")["train/loss"]
    assert len(losses) == 9
    assert all(loss < 99 for _, loss in losses)
