"""What the frozen decoder says from memory as training goes on, as a table in W&B."""

import random
import time
from typing import Any, cast

import wandb
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.tensor import DTensor

from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.encoder import Encoder
from llm2comp.evaluation.reconstruction import read_memory
from llm2comp.reporting.run_logger import run_loggers

KEY = "reconstructions"
COLUMNS = ["step", "text", "from memory", "from text", "text recovered", "continuation recovered"]


class Reconstructions(Callback):
    """Lets the decoder speak from the memory of a few held-out texts at each validation.

    `text recovered` and `continuation recovered` are shares of tokens: of the text, and of what the decoder says from
    the text, that it also says from memory, given the ones before. It takes `max_seconds` at most, and one text.
    Nothing is done where no W&B run keeps it, for an objective without memory tokens to read, and where the weights
    are sharded over processes.

    Args:
        count: how many texts.
        max_words: how much of each.
        max_new_tokens: how much the decoder says.
        max_seconds: after which no further text is begun.
    """

    def __init__(self, count: int = 3, max_words: int = 48, max_new_tokens: int = 24, max_seconds: float = 5.0) -> None:
        self.count = count
        self.max_words = max_words
        self.max_new_tokens = max_new_tokens
        self.max_seconds = max_seconds
        self._texts: list[str] = []
        self._rows: list[list[Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rows = [list(row) for row in state_dict["rows"]]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        texts = list(dict.fromkeys(trainer.datamodule.validation_texts()))  # type: ignore[attr-defined]
        drawn = random.Random(0).sample(texts, min(self.count, len(texts)))
        self._texts = [" ".join(text.split()[: self.max_words]) for text in drawn]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reads, and logs the table of all validations so far."""
        loggers = run_loggers(trainer.loggers) if trainer.is_global_zero and not trainer.sanity_checking else []
        compresses = cast(Any, pl_module).objective.batch_type is CompressionBatch
        if not (loggers and self._texts and compresses and _is_whole(pl_module)):
            return
        with trainer.precision_plugin.val_step_context():
            self._rows += self._read(cast(Encoder, pl_module.encoder), trainer.global_step)
        for logger in loggers:
            logger.attempt(self._log)

    def _read(self, encoder: Encoder, step: int) -> list[list[Any]]:
        rows: list[list[Any]] = []
        started = time.monotonic()
        for text in self._texts:
            if rows and time.monotonic() - started > self.max_seconds:
                break
            reading = read_memory(encoder, text, self.max_new_tokens)
            shares = [round(agreement.share, 3) for agreement in (reading.text, reading.continuation)]
            rows.append([step, text, reading.from_memory, reading.from_text, *shares])
        return rows

    def _log(self, run: Any) -> None:
        table = wandb.Table(columns=[*COLUMNS], data=self._rows)
        # Bound before it is logged, it is a file of the run and no artifact besides, whose record would hold the path
        # of a copy under the home folder.
        table.bind_to_run(run, KEY, run.step)
        run.log({KEY: table})


def _is_whole(module: LightningModule) -> bool:
    """Whether this process has all weights; it has not where FSDP2 or ZeRO-3 shards them."""
    return not any(isinstance(parameter, DTensor) or hasattr(parameter, "ds_id") for parameter in module.parameters())
