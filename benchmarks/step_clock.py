"""Timing the step of a Trainer of transformers, or of one built on it."""

import time
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback

from benchmarks.harness import Contestant
from benchmarks.training import LEARNING_RATE, MAX_GRADIENT
from llm2comp.backbone.loading import fast_dtype


class StepClock(TrainerCallback):
    """Adds up the time from the beginning to the end of each step: data loading lies between steps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._started = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds += _now() - self._started

    def contestant(self, trainer: Trainer) -> Contestant:
        """Train an epoch; the seconds that its steps took."""
        trainer.remove_callback(PrinterCallback)

        def run() -> float:
            self.seconds = 0.0
            trainer.train()
            return self.seconds

        return run


def trainer_options(device: str, batch_size: int) -> dict[str, Any]:
    """TrainingArguments for an epoch that trains as ours do, and does nothing else."""
    return {
        "output_dir": "unused",
        "num_train_epochs": 1,
        "per_device_train_batch_size": batch_size,
        "learning_rate": LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": MAX_GRADIENT,
        "bf16": fast_dtype() is torch.bfloat16,
        "use_cpu": device == "cpu",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
