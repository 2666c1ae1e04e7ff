"""The one way a language model is run here: input embeddings in, last hidden states out."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from transformers import PreTrainedModel


def input_embeddings(lm: PreTrainedModel) -> nn.Embedding:
    """The embedding [V, H] of the vocabulary."""
    embeddings = lm.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)
    return embeddings


def last_hidden_states(
    lm: PreTrainedModel, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> Tensor:
    """States [B, T, H] after the final norm, of input embeddings [B, T, H]."""
    output = lm.base_model(
        inputs_embeds=inputs_embeds.to(input_embeddings(lm).weight.dtype),
        attention_mask=attention_mask,
        position_ids=position_ids,
        use_cache=False,
    )
    return output.last_hidden_state


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
