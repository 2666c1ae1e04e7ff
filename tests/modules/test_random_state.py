"""A run that is resumed draws the dropout masks of the run that went on."""

import random
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from llm2comp.modules.checkpoint_io import AtomicCheckpointIO
from llm2comp.modules.random_state import RandomState


class Dropping(pl.LightningModule):
    """A linear layer under dropout; its loss shows the mask that was drawn."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 1)
        self.dropout = nn.Dropout(0.5)
        self.losses: list[float] = []
        self.others: list[float] = []
        self.interrupt_at = interrupt_at

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        loss = self.layer(self.dropout(batch)).square().mean()
        if self.interrupt_at == self.global_step:
            raise KeyboardInterrupt
        self.losses.append(loss.item())
        self.others.append(random.random() + np.random.rand())
        return loss

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        torch.rand(3)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def fit(
    folder: Path,
    max_steps: int,
    *,
    seed: int = 0,
    ckpt: str | None = None,
    interrupt_at: int | None = None,
    batches: int = 7,
    **options: Any,
) -> Dropping:
    """Train on the same tensor again and again, so that losses differ by weights and masks alone."""
    pl.seed_everything(seed, verbose=False)
    module = Dropping(interrupt_at)
    loader = DataLoader(torch.ones(batches, 32), batch_size=1)
    trainer = pl.Trainer(
        max_steps=max_steps,
        accelerator="cpu",
        callbacks=[RandomState()],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=folder,
        **options,
    )
    try:
        trainer.fit(module, loader, loader, ckpt_path=str(folder / ckpt) if ckpt else None)
    except (KeyboardInterrupt, SystemExit):
        assert interrupt_at is not None
    trainer.save_checkpoint(folder / f"{max_steps}.ckpt")
    return module


# Seven batches an epoch: 4 stops within an epoch, 7 at its end.
@pytest.mark.parametrize("stop", [4, 7])
def test_a_resumed_run_has_the_losses_of_the_straight_one(tmp_path: Path, stop: int):
    straight = fit(tmp_path, 10)
    first = fit(tmp_path, stop)
    # Another seed and another number of draws by validation: neither may matter.
    second = fit(tmp_path, 10, seed=1, ckpt=f"{stop}.ckpt", val_check_interval=2)
    assert first.losses + second.losses == straight.losses
    assert first.others + second.others == straight.others
    assert len(straight.losses) == 10


def test_an_accumulated_batch_is_drawn_afresh_and_again(tmp_path: Path):
    straight = fit(tmp_path, 5, accumulate_grad_batches=2)
    first = fit(tmp_path, 2, accumulate_grad_batches=2)
    second = fit(tmp_path, 5, seed=1, ckpt="2.ckpt", accumulate_grad_batches=2)
    assert first.losses + second.losses == straight.losses
    assert len(set(straight.others)) == len(straight.others) > 5


def test_a_batch_that_was_interrupted_is_drawn_again(tmp_path: Path):
    straight = fit(tmp_path, 6)
    first = fit(tmp_path, 5, interrupt_at=3)
    second = fit(tmp_path, 6, seed=1, ckpt="5.ckpt")
    assert len(first.losses) == 3
    assert first.losses + second.losses == straight.losses


def test_masks_differ_between_batches_epochs_and_seeds(tmp_path: Path):
    run = fit(tmp_path, 6, batches=3)
    assert len(set(run.others)) == 6
    assert set(run.others).isdisjoint(fit(tmp_path, 6, batches=3, seed=1).others)


def test_masks_differ_between_processes():
    draws = []
    for rank in range(2):
        callback = RandomState()
        callback.load_state_dict({"seed": 0})
        trainer: Any = type("Rank", (), {"global_step": 0, "global_rank": rank})
        callback.on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
        draws.append(torch.rand(4))
    assert not torch.equal(*draws)
