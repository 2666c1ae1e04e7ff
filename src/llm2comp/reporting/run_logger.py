"""Lightning's logger for W&B, made so that training outlives it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from llm2comp.reporting.scrub import scrub


class RunLogger(WandbLogger):
    """Logs to W&B as long as that works: whatever goes wrong there is told once, and the run goes on.

    A run that cannot start online, because nobody is logged in or the server cannot be reached, is kept offline, to be
    sent later.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Lightning passes it on though it is None, and W&B warns that it is deprecated.
        self._wandb_init.pop("anonymous", None)
        if os.environ.get("WANDB_SWEEP_ID"):
            # They are those of the sweep; W&B warns of others, and takes no notice.
            self._wandb_init.update(project=None, id=None)
        self._warned = False

    @property
    def records(self) -> bool:
        """Whether what is logged is kept anywhere."""
        return self._wandb_init.get("mode") != "disabled"

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run, which starts when it is first asked for."""
        while self._experiment is None:
            try:
                return super().experiment
            except Exception as error:
                self._start_instead("disabled" if self._wandb_init.get("mode") == "offline" else "offline", error)
        return self._experiment

    @rank_zero_only
    def attempt(self, record: Callable[[Any], None]) -> None:
        """Have something recorded with the W&B run; nothing happens where W&B is disabled or cannot do it."""
        if not self.records:
            return
        try:
            record(self.experiment)
        except Exception as error:
            self._warn(f"W&B failed, and the run goes on without what it could not record: {error}")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.attempt(lambda _: super(RunLogger, self).log_metrics(metrics, step))

    def log_hyperparams(self, params: Any) -> None:
        """Nothing: the run was given its configuration, scrubbed, and these would not be."""

    def _start_instead(self, mode: str, error: Exception) -> None:
        kept = "is kept offline" if mode == "offline" else "goes on without W&B"
        self._warn(f"W&B could not start, and the run {kept}: {error}")
        wandb.teardown()  # to its service, the run that could not start is there
        self._wandb_init["mode"] = mode
        self._wandb_init["settings"] = {**self._wandb_init.get("settings", {}), "silent": True}

    def _warn(self, message: str) -> None:
        if not self._warned:
            rank_zero_warn(scrub(message))
        self._warned = True


def run_loggers(loggers: Sequence[Logger]) -> list[RunLogger]:
    """Those of a trainer's loggers that log to W&B and keep it."""
    return [logger for logger in loggers if isinstance(logger, RunLogger) and logger.records]
