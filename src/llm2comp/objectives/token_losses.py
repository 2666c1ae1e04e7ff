"""Token losses through a frozen head, exact, without ever holding logits of shape [tokens, vocabulary].

The head is frozen, so the loss is a function of the hidden states alone. Its gradient by hidden state is computed
together with it, a chunk of tokens at a time; the backward pass only scales it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from llm2comp.backbone.head import LMHead

# Elements of one chunk of logits. Large enough to keep the matrix product efficient, small enough not to matter.
CHUNK_ELEMENTS = {"cpu": 2**23, "cuda": 2**26}

# Of a chunk of tokens: the summed loss, and, where asked for, its gradient [C, V] by the student's logits [C, V].
ChunkLoss = Callable[[Tensor, slice, bool], tuple[Tensor, Tensor | None]]


def cross_entropy(hidden_states: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    """Mean over tokens of -log p(label), from hidden states [N, H] and labels [N]; zero for no tokens."""

    def chunk_loss(logits: Tensor, chunk: slice, with_grad: bool) -> tuple[Tensor, Tensor | None]:
        target = labels[chunk, None]  # [C, 1]
        log_norm = logits.logsumexp(-1, keepdim=True)  # [C, 1]
        loss = (log_norm - logits.gather(1, target)).sum()
        if not with_grad:
            return loss, None
        grad = (logits - log_norm).exp_()
        return loss, grad.scatter_add_(1, target, -torch.ones_like(log_norm))

    return _TokenLoss.apply(hidden_states, head, chunk_loss) / max(len(hidden_states), 1)


def kl_divergence(
    student: Tensor, teacher: Tensor, head: LMHead, temperature: float = 1.0, reverse: bool = False
) -> Tensor:
    """Mean over tokens of KL(teacher || student) over the vocabulary, from hidden states [N, H] of each.

    `reverse`: KL(student || teacher). Logits are divided by `temperature`, and the loss multiplied by its square, so
    that gradients keep their size (Hinton et al. 2015, section 2.1). No gradient flows to the teacher.
    """
    frozen = teacher.detach()

    def chunk_loss(logits: Tensor, chunk: slice, with_grad: bool) -> tuple[Tensor, Tensor | None]:
        log_q = logits.div(temperature).log_softmax(-1)  # student [C, V]
        log_p = head.logits(frozen[chunk]).div_(temperature).log_softmax(-1)  # teacher [C, V]
        q = log_q.exp()
        if not reverse:
            p = log_p.exp()
            loss = (log_p.sub_(log_q)).mul_(p).sum()
            grad = q.sub_(p) if with_grad else None
        else:
            ratio = log_q.sub_(log_p)
            per_token = (q * ratio).sum(-1, keepdim=True)  # [C, 1]
            loss = per_token.sum()
            grad = ratio.sub_(per_token).mul_(q) if with_grad else None
        return loss * temperature**2, None if grad is None else grad.mul_(temperature)

    return _TokenLoss.apply(student, head, chunk_loss) / max(len(student), 1)


class _TokenLoss(torch.autograd.Function):
    """The sum over tokens of a chunked loss, with the gradient by hidden state computed in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden_states: Tensor, head: LMHead, chunk_loss: ChunkLoss) -> Tensor:
        with_grad = hidden_states.requires_grad
        grad = torch.empty_like(hidden_states) if with_grad else None
        total = hidden_states.new_zeros((), dtype=torch.promote_types(hidden_states.dtype, torch.float32))
        size = max(1, CHUNK_ELEMENTS.get(hidden_states.device.type, CHUNK_ELEMENTS["cpu"]) // head.vocab_size)
        for start in range(0, len(hidden_states), size):
            chunk = slice(start, start + size)
            logits = head.logits(hidden_states[chunk])
            loss, grad_logits = chunk_loss(logits, chunk, with_grad)
            total += loss
            if grad is not None and grad_logits is not None:
                grad[chunk] = head.grad_hidden(grad_logits, logits)
        ctx.grad = grad
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None]:
        return (None if ctx.grad is None else ctx.grad * grad_outputs[0].to(ctx.grad.dtype)), None, None
