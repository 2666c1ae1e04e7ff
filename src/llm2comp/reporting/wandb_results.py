"""What a run came to, for its W&B run: numbers in the summary, pictures, and the encoder as an artifact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger

from llm2comp.reporting.dashboard.measures import measured
from llm2comp.reporting.encoder_artifact import encoder_artifact
from llm2comp.reporting.results import RunResults
from llm2comp.reporting.run_logger import run_loggers

# Before the names of metrics of the exported checkpoint; without it they are the last ones logged.
BEST = "best/"


def log_results(
    loggers: Sequence[Logger], results: RunResults, pictures: Sequence[Path], encoder: Path, with_encoder: bool
) -> None:
    """Record the results with every W&B run among the loggers.

    `with_encoder`: send the encoder folder's files too, and not only what is recorded of it.
    """
    for logger in run_loggers(loggers):
        logger.attempt(lambda run: run.summary.update(summary(results)))
        logger.attempt(lambda run: run.log({path.stem: wandb.Image(str(path)) for path in pictures}))
        logger.attempt(lambda run: run.log_artifact(encoder_artifact(encoder, with_encoder)))


def summary(results: RunResults) -> dict[str, Any]:
    """The results by the names that they have in W&B."""
    numbers = {f"{BEST}{name}" if name in results.metrics else name: n for name, n in measured(results).items()}
    return {**numbers, **{f"training/{name}": value for name, value in results.training.items()}}
