"""The one way a language model is run here: input embeddings in, last hidden states out."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm2comp.backbone.packing import PACKED, packed_hidden_states


def input_embeddings(lm: PreTrainedModel) -> nn.Embedding:
    """The embedding [V, H] of the vocabulary."""
    embeddings = lm.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)
    return embeddings


def last_hidden_states(
    lm: PreTrainedModel, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> Tensor:
    """States [B, T, H] after the final norm, of input embeddings [B, T, H]."""
    inputs_embeds = inputs_embeds.to(input_embeddings(lm).weight.dtype)
    if lm.config._attn_implementation == PACKED:
        return packed_hidden_states(lm, inputs_embeds, attention_mask, position_ids)
    output = lm.base_model(
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        position_ids=position_ids,
        use_cache=False,
    )
    return output.last_hidden_state


def is_exact(lm: PreTrainedModel) -> bool:
    """Whether the model computes in float32: in bfloat16, rounding shows."""
    weight = input_embeddings(lm).weight
    return weight.dtype == torch.float32 and not torch.is_autocast_enabled(weight.device.type)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """`module` without dropout within the context; after it, every submodule in the mode it was found in."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, training in modes:
            submodule.training = training
