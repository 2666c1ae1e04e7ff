"""Trainings of tiny models to plan, the same trainings done for real, and memory as PyTorch's allocator counts it."""

import gc
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.spec import resolve
from llm2comp.data.settings import DataSettings
from llm2comp.encoder.config import EncoderConfig
from llm2comp.modules.encoder_training import EncoderTraining
from llm2comp.modules.optimization import Optimization
from llm2comp.objectives import Distillation
from llm2comp.objectives.base import Objective
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.memory_tracker import MemoryTracker
from llm2comp.planning.training import Training
from llm2comp.planning.training_step import run_step
from tests.tiny import ARCHITECTURES, NO_SDPA, tiny_architecture, tiny_tokenizer

LAYERS = 4
DATA: dict[str, Any] = {
    "train": "embedded:wikipedia",
    "validation": None,
    "validation_fraction": 0.1,
    "batch_size": None,
    "token_budget": None,
    "max_tokens": None,
    "max_query_tokens": None,
    "max_document_tokens": None,
    "min_characters": 1,
    "max_examples": None,
    "mixing": "proportional",
    "mixing_temperature": 2.0,
    "guard": "drop",
    "streaming": False,
    "buffer_size": 100,
    "num_workers": 0,
    "seed": 0,
}
LOW_RANK = LoRA(rank=4, alpha=8, dropout=0.0)


def save_lm(folder: Path, model_type: str = "llama", **sizes: Any) -> Path:
    """A Hugging Face folder of a tiny random model of LAYERS layers with its tokenizer."""
    lists = {
        name: value * (LAYERS // 2) for name, value in ARCHITECTURES[model_type].items() if isinstance(value, list)
    }
    sizes = {"num_hidden_layers": LAYERS, **lists, **sizes}
    tiny_architecture(model_type, **sizes).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def planned(
    folder: Path | str,
    objective: Objective | None = None,
    *,
    k: int = 3,
    lora: LoRA | None = LOW_RANK,
    dtype: torch.dtype = torch.float32,
    attention: str = "eager",
    max_length: int = 64,
    **options: Any,
) -> Training:
    """A training on the CPU, of 4 rows where `options` do not say otherwise."""
    own = {name: options.pop(name) for name in tuple(options) if name in Training.__dataclass_fields__}
    data = DataSettings(**{**DATA, **({} if "token_budget" in options else {"batch_size": 4}), **options})
    spec = resolve(folder)
    config = EncoderConfig(
        num_memory_tokens=k,
        pooling="memory_mean" if k else "mean",
        direction="bidirectional",
        max_length=max_length,
        base=spec.name,
    )
    defaults: dict[str, Any] = {
        "device": "cpu",
        "attention_dropout": 0.0,
        "quantization": None,
        "activation_checkpointing": False,
        "accumulates": False,
    }
    return Training(
        spec=spec,
        config=config,
        objective=objective or Distillation(),
        lora=lora,
        data=data,
        dtype=dtype,
        attention=attention,
        **{**defaults, **own},
    )


def module_of(training: Training) -> EncoderTraining:
    """The module that makes the training, its weights loaded."""
    module = unloaded(training)
    module.configure_model()
    return module


def unloaded(training: Training) -> EncoderTraining:
    """The module that makes the training, as a strategy is given it."""
    return EncoderTraining(
        encoder=training.spec.name,
        objective=training.objective,
        lora=training.lora,
        optimization=Optimization(),
        num_memory_tokens=training.config.num_memory_tokens,
        pooling=training.config.pooling,
        max_length=training.config.max_length,
        attention_dropout=training.attention_dropout,
        dtype="float32" if training.dtype == torch.float32 else "bfloat16",
        attention=training.attention,
        activation_checkpointing=training.activation_checkpointing,
        compile=False,
    )


def allocated_peak(run: Callable[[], object]) -> int:
    """The most bytes that PyTorch's CPU allocator has given out at a time while `run` runs, beyond those before.

    What the allocator is asked for is the same in every run; how much of it the C library holds resident is not.
    """
    gc.collect()  # what earlier work has left would be seen to be freed
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events = profiled.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return max(accumulate(size for _, size in changes))


def measured_step(training: Training, rows: int) -> int:
    """The most bytes that a step of the training, done for real, takes beyond the model."""
    encoder, tracker = module_of(training).encoder, MemoryTracker(0)
    return allocated_peak(lambda: run_step(encoder, training.objective, lambda: full_batch(training, rows), tracker))


def beyond_the_model(memory: Mapping[str, int]) -> int:
    """The bytes of a plan that come and go with steps."""
    return sum(size for part, size in memory.items() if part not in ("weights", "frozen copy", "trained"))


def attention_of(model_type: str) -> str:
    return "eager" if model_type in NO_SDPA else "sdpa"
