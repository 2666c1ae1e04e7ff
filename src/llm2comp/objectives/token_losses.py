"""Token losses through a frozen head, exact, without ever holding logits of shape [tokens, vocabulary].

The head is frozen, so the loss is a function of the hidden states alone. Its gradient by hidden state is computed
together with it, a chunk of tokens at a time; the backward pass only scales it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llm2comp.backbone.head import LMHead

# Elements of one chunk of logits. Large enough to keep the matrix product efficient, small enough not to matter; on a
# CPU, 16 MB in float32, small enough too for the C library to use the same memory again for each.
CHUNK_ELEMENTS = {"cpu": 2**22, "cuda": 2**26}

# Of a chunk of tokens: the summed loss, and, where asked for, its gradient [C, V] by the student's logits [C, V].
# The logits may be overwritten.
ChunkLoss = Callable[[Tensor, slice, bool], tuple[Tensor, Tensor | None]]


def cross_entropy(hidden_states: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    """Mean over tokens of -log p(label), from hidden states [N, H] and labels [N]; zero for no tokens."""

    def chunk_loss(logits: Tensor, chunk: slice, with_grad: bool) -> tuple[Tensor, Tensor | None]:
        target = labels[chunk, None]  # [C, 1]
        log_p = _log_softmax_(logits)
        loss = -log_p.gather(1, target).sum()
        if not with_grad:
            return loss, None
        return loss, log_p.exp_().scatter_add_(1, target, -log_p.new_ones(target.shape))

    return _mean_loss(hidden_states, head, chunk_loss)


def kl_divergence(
    student: Tensor, teacher: Tensor, head: LMHead, temperature: float = 1.0, reverse: bool = False
) -> Tensor:
    """Mean over tokens of KL(teacher || student) over the vocabulary, from hidden states [N, H] of each.

    `reverse`: KL(student || teacher). Logits are divided by `temperature`, and the loss multiplied by its square, so
    that gradients keep their size (Hinton et al. 2015, section 2.1). No gradient flows to the teacher.
    """
    frozen = teacher.detach()

    def chunk_loss(logits: Tensor, chunk: slice, with_grad: bool) -> tuple[Tensor, Tensor | None]:
        log_q = _log_softmax_(logits.div_(temperature))  # student [C, V]
        log_p = _log_softmax_(head.logits(frozen[chunk]).div_(temperature))  # teacher [C, V]
        if not reverse:
            p = log_p.exp()
            loss = log_p.sub_(log_q).mul_(p).sum()
            grad = log_q.exp_().sub_(p) if with_grad else None
        else:
            ratio = torch.sub(log_q, log_p, out=log_p)
            q = log_q.exp_()
            per_token = torch.linalg.vecdot(q, ratio)[:, None]  # [C, 1]
            loss = per_token.sum()
            grad = ratio.sub_(per_token).mul_(q) if with_grad else None
        return loss * temperature**2, None if grad is None else grad.mul_(temperature)

    return _mean_loss(student, head, chunk_loss)


def _log_softmax_(logits: Tensor) -> Tensor:
    """Log-probabilities [C, V] in the place of the logits."""
    return logits.sub_(logits.logsumexp(-1, keepdim=True))


def _mean_loss(hidden_states: Tensor, head: LMHead, chunk_loss: ChunkLoss) -> Tensor:
    # Whether a gradient is wanted cannot be seen from within the function: it runs without gradients.
    with_grad = hidden_states.requires_grad and torch.is_grad_enabled()
    return _TokenLoss.apply(hidden_states, head, chunk_loss, with_grad) / max(len(hidden_states), 1)


class _TokenLoss(torch.autograd.Function):
    """The sum over tokens of a chunked loss, with the gradient by hidden state computed in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden_states: Tensor, head: LMHead, chunk_loss: ChunkLoss, with_grad: bool) -> Tensor:
        grad = torch.empty_like(hidden_states) if with_grad else None
        total = hidden_states.new_zeros((), dtype=torch.promote_types(hidden_states.dtype, torch.float32))
        size = max(1, CHUNK_ELEMENTS.get(hidden_states.device.type, CHUNK_ELEMENTS["cpu"]) // head.vocab_size)
        for start in range(0, len(hidden_states), size):
            chunk = slice(start, start + size)
            logits = head.logits(hidden_states[chunk])
            # Only the gradient of a softcap asks for the logits again.
            kept = logits if head.softcap is None or not with_grad else logits.clone()
            loss, grad_logits = chunk_loss(logits, chunk, with_grad)
            total += loss
            if grad is not None and grad_logits is not None:
                grad[chunk] = head.grad_hidden(grad_logits, kept)
        ctx.grad = grad
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, None, None, None]:
        return None if ctx.grad is None else ctx.grad * grad_output.to(ctx.grad.dtype), None, None, None
