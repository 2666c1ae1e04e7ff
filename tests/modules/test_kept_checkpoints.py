"""The newest checkpoints are kept by step, over a resume with another number of them too."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from llm2comp.errors import UserError
from llm2comp.modules.kept_checkpoints import KeptCheckpoints, kept_checkpoints


class Linear(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def fit(folder: Path, steps: int, count: int | None, ckpt: Path | None = None, **options: Any) -> list[str]:
    """Train with a checkpoint every 3 steps, and save where it ended; the names of those kept."""
    trainer = pl.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[KeptCheckpoints(folder / "kept", 3, count)],
        default_root_dir=folder,
        **options,
    )
    trainer.fit(Linear(), DataLoader(torch.ones(40, 1)), ckpt_path=ckpt)
    trainer.save_checkpoint(folder / "last.ckpt")
    return [path.name for path in kept_checkpoints(folder / "kept")]


def test_each_is_named_by_its_step_and_holds_the_weights_then(tmp_path: Path):
    assert fit(tmp_path, 13, None) == ["step=3.ckpt", "step=6.ckpt", "step=9.ckpt", "step=12.ckpt"]
    saved = [torch.load(path, weights_only=True) for path in kept_checkpoints(tmp_path / "kept")]
    assert [checkpoint["global_step"] for checkpoint in saved] == [3, 6, 9, 12]
    assert len({checkpoint["state_dict"]["layer.weight"].item() for checkpoint in saved}) == 4
    assert not any("optimizer_states" in checkpoint for checkpoint in saved)


def test_the_newest_stay_by_their_steps_and_not_by_their_names(tmp_path: Path):
    assert fit(tmp_path, 13, 2) == ["step=9.ckpt", "step=12.ckpt"]


def test_a_resumed_run_keeps_what_is_asked_for_now(tmp_path: Path):
    last = tmp_path / "last.ckpt"
    assert fit(tmp_path, 7, None) == ["step=3.ckpt", "step=6.ckpt"]
    assert fit(tmp_path, 10, 2, last) == ["step=6.ckpt", "step=9.ckpt"]
    assert fit(tmp_path, 13, 1, last) == ["step=12.ckpt"]


def test_accumulated_batches_are_one_step(tmp_path: Path, monkeypatch):
    saved = []
    monkeypatch.setattr(pl.Trainer, "save_checkpoint", lambda self, path, **_: saved.append(Path(path).name))
    fit(tmp_path, 7, None, accumulate_grad_batches=2)
    assert saved == ["step=3.ckpt", "step=6.ckpt", "last.ckpt"]


def test_a_trial_of_a_few_batches_keeps_nothing(tmp_path: Path):
    assert fit(tmp_path, 40, None, fast_dev_run=4) == []


@pytest.mark.parametrize(("every", "count"), [(0, None), (3, 0), (3, -1)])
def test_numbers_that_keep_nothing_are_refused(every: int, count: int | None, tmp_path: Path):
    with pytest.raises(UserError, match=f"must be over 0, not {every} and {count}"):
        KeptCheckpoints(tmp_path, every, count)
