"""Random numbers that a resumed run draws again."""

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class RandomState(Callback):
    """Lets the random numbers of a training batch (dropout) follow from (seed, step, batch of the step, process) alone.

    Torch (CPU and accelerators), numpy and Python are seeded before each training batch, so nothing drawn elsewhere
    (validation, data loaders, a batch that Ctrl-C cut short) moves the dropout masks, and a run resumed from any
    checkpoint draws those of the run that went on. The seed is the one torch was given before the fit
    (`seed_everything`); checkpoints keep it, and a resumed run takes the checkpoint's.
    """

    def __init__(self) -> None:
        self._seed: int | None = None
        self._step = -1
        self._batch_of_step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._seed is None:
            self._seed = torch.initial_seed()

    def state_dict(self) -> dict[str, Any]:
        return {"seed": self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._seed = state_dict["seed"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        assert self._seed is not None
        # Not (epoch, batch): Lightning counts the epoch once more where a finished run is continued.
        self._batch_of_step = self._batch_of_step + 1 if trainer.global_step == self._step else 0
        self._step = trainer.global_step
        key = (self._seed, self._step, self._batch_of_step, trainer.global_rank)
        torch_seed, python_seed = np.random.SeedSequence(key).generate_state(2, np.uint64).tolist()
        torch.manual_seed(torch_seed)
        random.seed(python_seed)
        np.random.seed(python_seed % 2**32)
