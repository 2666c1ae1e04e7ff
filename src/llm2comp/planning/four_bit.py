"""Linear layers of 4-bit weights as bitsandbytes has them, for their shapes: the package itself needs a GPU."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

# Weights that share a scale in float32 (Dettmers et al. 2023, QLoRA, section 3, without double quantization).
_BLOCK = 64


class FourBitLinear(nn.Linear):
    """n weights take n/2 bytes, and n/64 scales of 4 bytes; they are made whole for each product, forward and back."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weights = linear.weight.numel()
        self.weight = nn.Parameter(torch.empty(-(-weights // 2), dtype=torch.uint8), requires_grad=False)
        self.register_buffer("scales", torch.empty(-(-weights // _BLOCK), dtype=torch.float32))
        self.bias = linear.bias
        self.compute_dtype = linear.weight.dtype

    def forward(self, input: Tensor) -> Tensor:
        output = _FourBitProduct.apply(input.to(self.compute_dtype), self.out_features)
        return output if self.bias is None else output + self.bias


class _FourBitProduct(torch.autograd.Function):
    """The product with frozen weights [out, in]: for its gradient nothing is kept of the input [..., in]."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, out_features: int) -> Tensor:
        ctx.shape = out_features, input.shape[-1]
        return input @ input.new_empty(ctx.shape).T

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ grad.new_empty(ctx.shape), None


def to_four_bit(lm: PreTrainedModel) -> None:
    """Replace the linear layers of a model, all but its head, in place."""
    head = lm.get_output_embeddings()
    for module in list(lm.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear) and child is not head:
                setattr(module, name, FourBitLinear(child))
