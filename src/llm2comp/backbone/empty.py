"""Models whose weights are read after they are sharded, so that no process ever holds them all."""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from llm2comp.backbone.forward import input_embeddings
from llm2comp.backbone.lora import is_adapter
from llm2comp.backbone.spec import ModelSpec
from llm2comp.backbone.weight_files import WeightFiles


def empty_lm(spec: ModelSpec, config: Any, options: dict[str, Any]) -> PreTrainedModel | None:
    """The model with its parameters on the meta device; None where its weights must be converted as they are read.

    `options`: those of `from_pretrained`, `dtype` among them.
    """
    from accelerate import init_empty_weights

    if "attention_dropout" in options:
        config.attention_dropout = options["attention_dropout"]
    with init_empty_weights(include_buffers=False):
        lm = AutoModelForCausalLM.from_config(
            config, dtype=options["dtype"], attn_implementation=options.get("attn_implementation")
        )
    lm.tie_weights()
    files = WeightFiles.of(spec, lm, options["dtype"])
    if files is None:
        return None
    lm.weight_files = files
    return lm.eval()


def is_empty(lm: PreTrainedModel) -> bool:
    """Whether the weights of the model have not been read yet."""
    return hasattr(lm, "weight_files")


@torch.no_grad()
def fill_lm(lm: PreTrainedModel) -> None:
    """Read the weights of an empty model, of sharded parameters the part that this process holds."""
    files: WeightFiles = lm.weight_files  # type: ignore[assignment]
    for name, parameter in lm.named_parameters():
        if not is_adapter(name):
            files.fill(name, parameter)
    del lm.weight_files


def read_input_embeddings(lm: PreTrainedModel) -> Tensor:
    """The input embeddings [V, H], from the files where the model is empty."""
    weight = input_embeddings(lm).weight
    if not is_empty(lm):
        return weight
    files: WeightFiles = lm.weight_files  # type: ignore[assignment]
    (name,) = (name for name, parameter in lm.named_parameters() if parameter is weight)
    return files.read(name)
