"""Floating-point operations of passes through a backbone (Chowdhery et al. 2022, PaLM, appendix B)."""

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D


def matmul_parameters(lm: PreTrainedModel) -> int:
    """Weights that multiply every token: of all linear layers of the body, not of embeddings nor of the head."""
    # By their names for the sizes: a weight may be packed into 4 bits, or in parts over several processes.
    modules = list(lm.base_model.modules())
    linear = sum(module.in_features * module.out_features for module in modules if isinstance(module, nn.Linear))
    return linear + sum(module.nx * module.nf for module in modules if isinstance(module, Conv1D))


def pass_flops(lm: PreTrainedModel, lengths: Tensor, causal: bool, backward: int = 0) -> float:
    """A pass over sequences of these lengths [B]: forward, 2 per weight and token, and attention's two products.

    `backward`: what the backward pass costs in the linear layers, in forward passes: 0 for none, 1 where the weights
    are frozen, 2 where they train. Of attention's products both factors have a gradient, always.
    """
    config = lm.config
    attention_width = config.num_attention_heads * (
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )
    pairs = float((lengths.double() ** 2).sum()) / (2 if causal else 1)
    attention = 4 * config.num_hidden_layers * attention_width * pairs
    linear = 2.0 * matmul_parameters(lm) * float(lengths.sum())
    return (1 + backward) * linear + (3 if backward else 1) * attention


def head_flops(lm: PreTrainedModel, tokens: float) -> float:
    """A forward pass of the head over that many tokens."""
    head = lm.get_output_embeddings()
    return 2.0 * head.out_features * head.in_features * tokens
