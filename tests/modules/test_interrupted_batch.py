"""A run that was cut short in mid-batch validates, once resumed, where the straight run does."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from llm2comp.modules.final_validation import FinalValidation
from llm2comp.modules.interrupted_batch import InterruptedBatch


class Module(L.LightningModule):
    """Notes the number of steps done at each validation."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.fail_at = fail_at
        self.validated_at: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == self.fail_at:
            raise RuntimeError("cut short")
        return self.layer(batch).square().mean()

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.validated_at.append(self.global_step)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: Module, folder: Path, ckpt: str | None = None, **options: Any) -> Module:
    trainer = L.Trainer(
        accelerator="cpu",
        callbacks=[InterruptedBatch(), FinalValidation()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        **options,
    )
    training, validation = (DataLoader(torch.ones(n, 1), batch_size=1) for n in (40, 1))
    try:
        trainer.fit(module, training, validation, ckpt_path=None if ckpt is None else str(folder / ckpt))
    finally:
        trainer.save_checkpoint(folder / "last.ckpt")
    return module


EVERY_4 = {"max_steps": 14, "val_check_interval": 4, "check_val_every_n_epoch": None}


@pytest.mark.parametrize("fail_at", [5, 8])
def test_validations_of_a_resumed_run_come_where_they_did(tmp_path: Path, fail_at: int):
    straight = fit(Module(), tmp_path, **EVERY_4)
    cut = Module(fail_at)
    with pytest.raises(RuntimeError, match="cut short"):
        fit(cut, tmp_path, **EVERY_4)
    resumed = fit(Module(), tmp_path, "last.ckpt", **EVERY_4)
    assert straight.validated_at == [4, 8, 12, 14]
    assert cut.validated_at + resumed.validated_at == straight.validated_at
