"""FSDP2 reads weights shard by shard, shards every block, and lets callbacks encode."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.distributed.tensor import DTensor

from llm2comp.encoder.encoder import Encoder
from tests.strategies.processes import Processes
from tests.strategies.runs import Run, make_data, make_module, make_strategy, write_lm

pytestmark = pytest.mark.slow

TEXTS = ["The quick brown fox.", "A compressed text is read by a frozen decoder.", "fox"]


class Watch(L.Callback):
    """How many elements of its parameters a process has in memory, by time; and embeddings, in validation."""

    def __init__(self) -> None:
        self.elements: dict[str, int] = {}
        self.embeddings: Any = None

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        self.embeddings = pl_module.encoder.encode(TEXTS, show_progress=False)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.elements["before a step"] = elements(pl_module)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.elements["after the backward pass"] = elements(pl_module)


def elements(module: torch.nn.Module) -> int:
    local = [p.to_local() if isinstance(p, DTensor) else p for p in module.parameters()]
    return sum(p.numel() for p in local if not p.is_meta)


def look(run: Run) -> dict[str, Any]:
    torch.manual_seed(0)
    watch, module = Watch(), make_module(run)
    seen: dict[str, int] = {}
    strategy: Any = make_strategy(run.strategy)
    set_up = strategy.setup
    strategy.setup = lambda trainer: (seen.setdefault("before setup", elements(module)), set_up(trainer))
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = L.Trainer(
        strategy=strategy,
        devices=run.processes,
        accelerator="cpu",
        max_steps=1,
        callbacks=[watch],
        limit_val_batches=1,
        **dict.fromkeys(quiet, False),
    )
    data = make_data(run)
    trainer.validate(module, data, verbose=False)
    first = watch.embeddings
    trainer.fit(module, data)
    whole = sum(p.numel() for p in module.parameters())
    trainable = sum(p.numel() for p in module.trainable.values())
    return {"elements": {**seen, **watch.elements}, "whole": whole, "trainable": trainable, "embeddings": first}


@pytest.mark.parametrize("model_type", ["llama", "gemma2", "gpt2"])
def test_no_process_ever_holds_the_weights_of_all(
    two_processes: Processes, folder: Path, corpora: tuple[str, str], model_type: str
) -> None:
    lm = write_lm(folder, model_type)
    answers = two_processes.run(look, Run("continuation", lm, corpora[0], "fsdp2", 2, model={"attention": "eager"}))
    for seen in answers:
        assert seen["elements"]["before setup"] == seen["trainable"]
        for time in ("before a step", "after the backward pass"):
            assert seen["elements"][time] < 0.52 * seen["whole"]
    first, second = (seen["elements"]["before a step"] for seen in answers)
    assert first + second == answers[0]["whole"]


def test_callbacks_encode_as_one_process_does(
    two_processes: Processes, folder: Path, lm: str, corpora: tuple[str, str]
) -> None:
    run = Run("continuation", lm, corpora[0])
    torch.manual_seed(0)
    module = make_module(run)
    module.configure_model()
    expected = module.encoder.encode(TEXTS, show_progress=False)
    for strategy in ("fsdp2", "deepspeed_stage_3"):
        for seen in two_processes.run(look, Run("continuation", lm, corpora[0], strategy, 2)):
            torch.testing.assert_close(torch.tensor(seen["embeddings"]), torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_weights_that_must_be_converted_are_loaded_whole_and_sharded_then(
    two_processes: Processes, folder: Path, lm: str, corpora: tuple[str, str]
) -> None:
    """Weights in torch's own format."""
    old = folder / "old-format"
    if not old.is_dir():
        encoder = Encoder.from_pretrained(lm, dtype="float32")
        old.mkdir()
        encoder.backbone.lm.config.save_pretrained(old)
        encoder.tokenizer.save_pretrained(old)
        torch.save(encoder.backbone.lm.state_dict(), old / "pytorch_model.bin")
    answers = two_processes.run(look, Run("continuation", str(old), corpora[0], "fsdp2", 2))
    for seen in answers:
        assert seen["elements"]["before setup"] == seen["whole"]
        assert seen["elements"]["before a step"] < 0.52 * seen["whole"]
