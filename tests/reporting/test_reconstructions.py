"""The table of what the decoder says from memory grows with each validation, and goes on after a resume."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from llm2comp.data.batches import CompressionBatch, ContrastiveBatch
from llm2comp.evaluation.reconstruction import read_memory
from llm2comp.reporting.reconstructions import COLUMNS, Reconstructions
from llm2comp.reporting.run_logger import RunLogger
from tests.objectives.compression.examples import make_encoder

TEXTS = [f"{number} the quick brown fox jumps over the lazy dog" for number in range(6)]


class Recorder(RunLogger):
    """Keeps the rows of the tables that it is given."""

    def __init__(self, mode: str = "offline") -> None:
        super().__init__(mode=mode)
        self.tables: list[list[list[Any]]] = []

    def attempt(self, record: Any) -> None:
        table: dict[str, Any] = {}
        run = SimpleNamespace(step=0, log=table.update)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("wandb.Table.bind_to_run", lambda *_: None)
            record(run)
        assert table["reconstructions"].columns == COLUMNS
        self.tables.append([list(row) for row in table["reconstructions"].data])


def trainer(logger: Recorder, step: int) -> Trainer:
    whole = SimpleNamespace(
        loggers=[logger],
        datamodule=SimpleNamespace(validation_texts=lambda: TEXTS),
        is_global_zero=True,
        sanity_checking=False,
        global_step=step,
        precision_plugin=SimpleNamespace(val_step_context=torch.no_grad),
    )
    return cast(Trainer, whole)


@pytest.fixture
def module() -> LightningModule:
    encoder, _ = make_encoder()
    module = cast(Any, nn.Module())
    module.encoder, module.objective = encoder.eval(), SimpleNamespace(batch_type=CompressionBatch)
    return module


def validated(
    callback: Reconstructions, module: LightningModule, logger: Recorder, steps: list[int]
) -> list[list[list[Any]]]:
    callback.setup(trainer(logger, 0), module, "fit")
    for step in steps:
        callback.on_validation_epoch_end(trainer(logger, step), module)
    return logger.tables


def test_each_validation_adds_what_the_decoder_says_then(module: Any):
    tables = validated(Reconstructions(count=2, max_words=4, max_new_tokens=5), module, Recorder(), [0, 7])
    assert [[row[0] for row in table] for table in tables] == [[0, 0], [0, 0, 7, 7]]
    for _, text, from_memory, from_text, recovered, continued in tables[0]:
        assert text in {" ".join(each.split()[:4]) for each in TEXTS}
        reading = read_memory(module.encoder, text, 5)
        assert (from_memory, from_text) == (reading.from_memory, reading.from_text)
        assert (recovered, continued) == pytest.approx((reading.text.share, reading.continuation.share), abs=1e-3)


def test_a_resumed_run_keeps_the_rows_before(module: LightningModule):
    first = Reconstructions(count=1)
    validated(first, module, Recorder(), [0])
    resumed = Reconstructions(count=1)
    resumed.load_state_dict(first.state_dict())
    (table,) = validated(resumed, module, Recorder(), [5])
    assert [row[0] for row in table] == [0, 5]


def test_no_more_time_is_taken_than_allowed(module: LightningModule):
    (table,) = validated(Reconstructions(count=4, max_seconds=0.0), module, Recorder(), [0])
    assert len(table) == 1


def test_nothing_is_read_where_nothing_keeps_it_or_there_is_no_memory(module: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llm2comp.reporting.reconstructions.read_memory", lambda *_: pytest.fail("was read"))
    assert validated(Reconstructions(), module, Recorder("disabled"), [0]) == []
    module.objective = SimpleNamespace(batch_type=ContrastiveBatch)
    assert validated(Reconstructions(), module, Recorder(), [0]) == []


def test_sharded_weights_are_left_alone(module: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llm2comp.reporting.reconstructions.read_memory", lambda *_: pytest.fail("was read"))
    next(module.parameters()).ds_id = 0  # as ZeRO-3 marks them
    assert validated(Reconstructions(), module, Recorder(), [0]) == []
