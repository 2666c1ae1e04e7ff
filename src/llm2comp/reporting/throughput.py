"""How fast training is, in tokens and against what the machine can do."""

import time
from typing import Any, Protocol, runtime_checkable

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from llm2comp.reporting.matmul_peak import matmul_peak


class Measured(Protocol):
    """What a module tells of its training steps."""

    compute_dtype: torch.dtype  # of its matrix products, where the trainer's precision leaves that to it

    def flops(self, batch: Any) -> float:
        """Floating-point operations of a training step on the batch, forward and backward."""


@runtime_checkable
class Waited(Protocol):
    """What a loader of training batches tells."""

    seconds_waited: float  # in which training stood still for the next batch


class Throughput(Callback):
    """Logs `train/tokens_per_second` and `train/mfu` of a `Measured` module, over the steps since the last logging.

    Tokens are real ones, `batch.num_tokens`, summed over all processes. The model FLOPs utilisation is the module's
    `flops` per second as a share of the machine's `matmul_peak`, which is measured as the fit starts. Only training
    steps are timed: neither waiting for data, validation nor saving.

    Where the loader is `Waited`, logs `train/data_wait` too: the time waited for data as a share of that and the time
    of the steps, on the process where it is largest. The first value has the start of the worker processes in it.
    """

    def __init__(self) -> None:
        self._peak = float("nan")  # FLOP/s
        self._log_every = 0
        self._logged_at = 0
        self._started = 0.0
        self._waited_before = 0.0
        self._reset()

    def _reset(self) -> None:
        self._tokens = self._flops = self._seconds = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._peak = matmul_peak(pl_module.device, _compute_dtype(str(trainer.precision), pl_module))
        # Set by the trainer as it is made, and not declared there.
        self._log_every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        self._logged_at = trainer.global_step
        self._reset()
        self._waited_before = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        _wait_for(pl_module.device)
        self._started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        _wait_for(pl_module.device)
        self._seconds += time.perf_counter() - self._started
        self._tokens += int(batch.num_tokens)
        self._flops += pl_module.flops(batch)
        # Of the batches of one step, only the last is logged.
        stepped = trainer.global_step != self._logged_at
        if stepped and self._log_every and trainer.global_step % self._log_every == 0:
            self._log(trainer, pl_module)
            self._logged_at = trainer.global_step
            self._reset()

    def _log(self, trainer: Trainer, pl_module: LightningModule) -> None:
        def over_processes(value: float, reduction: str) -> Tensor:
            local = torch.tensor(value, device=pl_module.device)
            return trainer.strategy.reduce(local, reduce_op=reduction)

        tokens_per_second = over_processes(self._tokens / self._seconds, "sum")
        pl_module.log("train/tokens_per_second", tokens_per_second, prog_bar=True)
        pl_module.log("train/mfu", over_processes(self._flops / self._seconds / self._peak, "mean"))
        loader = trainer.train_dataloader
        if isinstance(loader, Waited):
            waited = loader.seconds_waited - self._waited_before
            pl_module.log("train/data_wait", over_processes(waited / (waited + self._seconds), "max"))
            self._waited_before = loader.seconds_waited


def _compute_dtype(precision: str, module: Measured) -> torch.dtype:
    """The type matrix products are made in under Lightning's `precision`, such as `bf16-mixed`."""
    return {"bf16": torch.bfloat16, "16": torch.float16}.get(precision.split("-")[0], module.compute_dtype)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
