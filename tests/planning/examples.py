"""Trainings of tiny models to plan, the same trainings done for real, and memory as PyTorch's allocator counts it."""

from collections.abc import Callable
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
from llm2comp.planning.training import Training
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
    module = EncoderTraining(
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
    )
    module.configure_model()
    return module


def allocated_peak(run: Callable[[], object]) -> int:
    """The most bytes that PyTorch's CPU allocator has given out at a time while `run` runs, beyond those before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    events = list(profiled.profiler.kineto_results.experimental_event_tree())
    allocated = []
    while events:
        event = events.pop()
        events += event.children
        if event.name == "[memory]":
            allocated.append((event.start_time_ns, event.extra_fields.total_allocated, event.extra_fields.alloc_size))
    _, total, first = min(allocated)
    return max(total for _, total, _ in allocated) - (total - first)


def attention_of(model_type: str) -> str:
    return "eager" if model_type in NO_SDPA else "sdpa"
