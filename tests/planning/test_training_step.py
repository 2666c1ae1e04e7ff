"""What running a step for its shapes finds is what the step takes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from llm2comp.backbone.lora import LoRA
from llm2comp.modules.encoder_training import EncoderTraining
from llm2comp.objectives import MNTP, Contrastive, Distillation, Llama2Vec, Reconstruction, WeightedSum
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.memory_tracker import Memory, MemoryTracker
from llm2comp.planning.training import Training
from llm2comp.planning.training_step import Peaks, count_model, run_step, step_peaks
from tests.planning.examples import LAYERS, attention_of, beyond_the_model, measured_step, module_of, planned, save_lm

ROWS = 4
CASES: dict[str, dict[str, Any]] = {
    "distillation": {},
    "weighted sum": {"objective": WeightedSum([Reconstruction(), Distillation()], [0.5, 0.5])},
    "llama2vec": {"objective": Llama2Vec(), "k": 2},
    "mntp": {"objective": MNTP(), "k": 0, "token_budget": 256},
    "contrastive with negatives": {"objective": Contrastive(), "train": "triplets.jsonl", "max_query_tokens": 10},
    "contrastive in chunks": {"objective": Contrastive(micro_batch_size=4), "max_tokens": 20},
    "sdpa": {"attention": "sdpa"},
    "all weights in bfloat16": {"lora": None, "dtype": torch.bfloat16},
    "dropout": {"lora": LoRA(rank=4, alpha=8, dropout=0.1), "attention_dropout": 0.1},
    "all weights": {"lora": None},
    "checkpointing": {"activation_checkpointing": True},
    "accumulation": {"accumulates": True, "lora": None},
    "token budget": {"token_budget": 300},
}


def seen(training: Training, rows: int = ROWS) -> Peaks:
    """The peaks of a step that is made, with all layers."""
    encoder = module_of(training).encoder
    tracker = MemoryTracker(encoder.backbone.head.vocab_size)
    run_step(encoder, training.objective, lambda: full_batch(training, rows), tracker, training.accumulates)
    return tracker.peaks


def totals(peaks: Peaks) -> dict[str, int]:
    return {segment: sum(most.values()) for segment, (most, _) in peaks.items()}


def most(peaks: Peaks) -> Memory:
    return max((memory for memory, _ in peaks.values()), key=lambda memory: sum(memory.values()))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lm(tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("case", CASES)
def test_the_step_of_a_deeper_model_takes_what_two_layers_let_expect(case: str, llama: Path):
    training = planned(llama, **CASES[case])
    expected, real = step_peaks(training, ROWS, LAYERS), seen(training)
    assert totals(expected) == pytest.approx(totals(real), rel=0.005)
    assert most(expected) == pytest.approx(most(real), rel=0.005, abs=2000)


# Of those whose layers, attention, biases or experts take memory in another way than Llama's.
@pytest.mark.parametrize("model_type", ["bloom", "cohere2", "gemma2", "gemma3_text", "gpt2", "mixtral", "opt", "phi"])
def test_of_other_architectures(model_type: str, tmp_path: Path):
    training = planned(save_lm(tmp_path, model_type), attention=attention_of(model_type))
    assert totals(step_peaks(training, ROWS, LAYERS)) == pytest.approx(totals(seen(training)), rel=0.01)


@pytest.mark.parametrize("case", ["distillation", "mntp", "all weights"])
def test_the_allocator_counts_the_same(case: str, tmp_path: Path):
    # Wide enough for what kernels take while they run, which is not seen, to be little.
    folder = save_lm(tmp_path, hidden_size=128, intermediate_size=256, num_attention_heads=4)
    training = planned(folder, max_length=200, **CASES[case])
    expected = beyond_the_model(most(step_peaks(training, ROWS, LAYERS)))
    assert measured_step(training, ROWS) == pytest.approx(expected, rel=0.02)


def test_gradients_of_earlier_batches_stay_while_more_are_added(llama: Path):
    training = planned(llama, lora=None, accumulates=True)
    added, first = step_peaks(training, ROWS, LAYERS), step_peaks(replace(training, accumulates=False), ROWS, LAYERS)
    backward = next(segment for segment in added if segment.startswith("backward"))
    assert added[backward][1]["gradients"] > 1.5 * first[backward][1]["gradients"]


class Step(L.Callback):
    """Counts what the batch of a number takes."""

    def __init__(self, number: int) -> None:
        self.number, self.tracker = number, MemoryTracker(0)

    def on_train_batch_start(self, trainer: Any, pl_module: EncoderTraining, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.number:
            count_model(pl_module.encoder, self.tracker)
            for parameter in pl_module.parameters():
                if parameter.grad is not None:
                    self.tracker.count(parameter.grad, "gradients")
            for state in trainer.optimizers[0].state.values():
                for value in state.values():
                    self.tracker.count(value, "optimizer")
            for value in vars(batch).values():
                self.tracker.count(value, "activations")
            self.tracker.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.number:
            self.tracker.__exit__(None, None, None)


@pytest.mark.parametrize(("lora", "accumulate"), [(True, 1), (False, 1), (False, 4)])
def test_a_step_of_lightnings_takes_as_much(lora: bool, accumulate: int, llama: Path, tmp_path: Path):
    options: dict[str, Any] = {} if lora else {"lora": None}
    training = planned(llama, accumulates=accumulate > 1, **options)
    step, module = Step(2 if accumulate == 1 else 6), module_of(training)  # after a first step
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=3,
        accumulate_grad_batches=accumulate,
        callbacks=[step],
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, train_dataloaders=DataLoader([full_batch(training, ROWS)] * 3 * accumulate, batch_size=None))
    measured = sum(most(step.tracker.peaks).values())
    assert measured == pytest.approx(sum(most(step_peaks(training, ROWS, LAYERS)).values()), rel=0.02)
