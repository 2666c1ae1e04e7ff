"""The repeated blocks of a language model: what is sharded, and recomputed, one at a time."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, wraps
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from llm2comp.backbone.lora import lora_layers
from llm2comp.errors import UserError


def find_blocks(lm: PreTrainedModel) -> nn.ModuleList:
    """The decoder layers, found by structure: the list in the body that has as many modules as the model has layers.

    Raises UserError for an architecture without one.
    """
    lists = [
        module
        for module in lm.base_model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == lm.config.num_hidden_layers
    ]
    if not lists:
        raise UserError(
            f"{lm.config.model_type} ({type(lm).__name__}) has no list of {lm.config.num_hidden_layers} layers, so it "
            "cannot be sharded or recomputed layer by layer: use strategy ddp without activation_checkpointing"
        )
    return max(lists, key=lambda found: sum(parameter.numel() for parameter in found.parameters()))


def checkpoint_blocks(lm: PreTrainedModel) -> None:
    """Let the blocks keep their inputs only, and be run again for the rest in the backward pass.

    They are run again in the role that they had, encoder or decoder, whatever is set by then. Only passes with a
    gradient are affected.
    """
    for block in find_blocks(lm):
        block.forward = _checkpointed(lm, block.forward)


def _checkpointed(lm: PreTrainedModel, forward: Any) -> Any:
    @wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        contexts = partial(_contexts, lm)
        return checkpoint(forward, *args, use_reentrant=False, context_fn=contexts, **kwargs)

    return run


def _contexts(lm: PreTrainedModel) -> tuple[AbstractContextManager, AbstractContextManager]:
    """The contexts of a block's first run and of its second."""
    modes = [(module, module.training) for module in lm.modules()]
    adapters = [(layer, layer._disable_adapters) for layer in lora_layers(lm).values()]
    return nullcontext(), _role(lm, lm.config.is_causal, modes, adapters)


@contextmanager
def _role(lm: PreTrainedModel, is_causal: bool, modes: list[Any], adapters: list[Any]) -> Iterator[None]:
    """The model as it was: its attention's direction, its modules' modes, its adapters on or off."""
    before = lm.config.is_causal, [(m, m.training) for m, _ in modes], [(a, a._disable_adapters) for a, _ in adapters]
    _set_role(lm, is_causal, modes, adapters)
    try:
        yield
    finally:
        _set_role(lm, *before)


def _set_role(lm: PreTrainedModel, is_causal: bool, modes: list[Any], adapters: list[Any]) -> None:
    lm.config.is_causal = is_causal
    for module, training in modes:
        module.training = training
    for layer, disabled in adapters:
        layer._disable_adapters = disabled
