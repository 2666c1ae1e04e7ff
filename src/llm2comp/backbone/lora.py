"""Low-rank adapters on a frozen model: put in, switched off, and merged, through peft."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llm2comp.errors import UserError, unknown


@dataclass
class LoRA:
    """Low-rank adaptation: W + (alpha / rank) B A; `targets` are names of linear layers, or "all-linear"."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    targets: list[str] | str = "all-linear"

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise UserError(
                f"LoRA rank must be at least 1, not {self.rank}; to train every weight use --model.lora null"
            )
        if not 0 <= self.dropout < 1:
            raise UserError(f"LoRA dropout must be in [0, 1), not {self.dropout}")
        if not self.targets:
            raise UserError("LoRA has no targets; name linear layers, such as [q_proj, v_proj], or all-linear")


def add_lora(lm: PreTrainedModel, lora: LoRA) -> None:
    """Freeze `lm` and put fresh float32 adapters into it, in place.

    Raises UserError for a target that is not a linear layer of the model.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft only divides it by the rank
        lora_dropout=lora.dropout,
        target_modules=_linear_layers(lm, lora.targets),
    )
    with _weights_in_memory(lm):
        inject_adapter_in_model(config, lm)
    for name, parameter in lm.named_parameters():
        parameter.requires_grad_(is_adapter(name))
        if is_adapter(name):
            parameter.data = parameter.data.float()
    for layer in lora_layers(lm).values():
        # autocast casts once and to the right type; peft's own cast of every input to float32 would be a second copy.
        layer.cast_input_dtype_enabled = False


@contextmanager
def _weights_in_memory(lm: PreTrainedModel) -> Iterator[None]:
    """Weights without memory are replaced by ones of a single element: peft puts adapters where the weights are."""
    empty = [
        (module, module.weight)
        for module in lm.modules()
        if isinstance(module, nn.Linear | Conv1D) and module.weight.is_meta
    ]
    for module, weight in empty:
        element = torch.empty(1, dtype=weight.dtype)
        module.weight = nn.Parameter(element.expand(weight.shape), requires_grad=False)
    try:
        yield
    finally:
        for module, weight in empty:
            module.weight = weight


def _linear_layers(lm: PreTrainedModel, targets: list[str] | str) -> list[str]:
    """The full names of the linear layers that have a name among the targets; the head is never one."""
    head = lm.get_output_embeddings()
    linear = [name for name, m in lm.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]
    if targets == "all-linear":
        return linear
    chosen: list[str] = []
    for target in [targets] if isinstance(targets, str) else targets:
        named = [name for name in linear if f".{name}".endswith(f".{target}")]
        if not named:
            raise unknown("LoRA target", target, {name.split(".")[-1] for name in linear})
        chosen += named
    return chosen


def is_adapter(name: str) -> bool:
    """Whether the parameter of this name is an adapter's."""
    return ".lora_" in name


def lora_layers(lm: PreTrainedModel) -> dict[str, Any]:
    """The layers that carry an adapter, by name."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in lm.named_modules() if isinstance(module, LoraLayer)}


@contextmanager
def adapters_disabled(lm: PreTrainedModel) -> Iterator[None]:
    """The model without its adapters within the context."""
    layers = list(lora_layers(lm).values())
    for layer in layers:
        # `enable_adapters` would also flip requires_grad of every adapter, twice a step, while a graph is alive.
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer in layers:
            layer._disable_adapters = False


def merged_state_dict(lm: PreTrainedModel) -> dict[str, Tensor]:
    """The state dict of the plain model with the adapters added into the weights; `lm` itself is left as it is."""
    from peft.utils.integrations import dequantize_module_weight

    merged = {
        name.replace(".base_layer", ""): tensor.detach()
        for name, tensor in lm.state_dict().items()
        if not is_adapter(name)
    }
    for name, layer in lora_layers(lm).items():
        weight = dequantize_module_weight(layer.base_layer).detach()
        delta = layer.get_delta_weight("default").detach()
        merged[f"{name}.weight"] = (weight.float() + delta.float()).to(weight.dtype)
    return merged
