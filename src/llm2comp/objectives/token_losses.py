"""Token losses through a frozen head, exact, without ever holding logits of shape [tokens, vocabulary].

The head is frozen, so the loss is a function of the hidden states alone. Its gradient by hidden state is computed
together with it, a chunk of tokens at a time; the backward pass only scales it.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from llm2comp.backbone.head import LMHead

# Elements of one chunk of logits. Large enough to keep the matrix product efficient, small enough not to matter; on a
# CPU, 16 MB in float32, small enough too for the C library to use the same memory again for each.
CHUNK_ELEMENTS = {"cpu": 2**22, "cuda": 2**26}

# Of a chunk of tokens: the summed loss, and, where asked for, its gradient [C, V] by the student's logits [C, V].
# Beside the logits, which may be overwritten, it is given the head and the chunk's rows of what the loss compares with.
ChunkLoss = Callable[[Tensor, LMHead, Tensor, bool], tuple[Tensor, Tensor | None]]


def cross_entropy(hidden_states: Tensor, labels: Tensor, head: LMHead) -> Tensor:
    """Mean over tokens of -log p(label), from hidden states [N, H] and labels [N]; zero for no tokens."""
    return _mean_loss(hidden_states, head, _cross_entropy, labels)


def kl_divergence(
    student: Tensor, teacher: Tensor, head: LMHead, temperature: float = 1.0, reverse: bool = False
) -> Tensor:
    """Mean over tokens of KL(teacher || student) over the vocabulary, from hidden states [N, H] of each.

    `reverse`: KL(student || teacher). Logits are divided by `temperature`, and the loss multiplied by its square, so
    that gradients keep their size (Hinton et al. 2015, section 2.1). No gradient flows to the teacher.
    """
    chunk_loss = partial(_reverse_kl if reverse else _forward_kl, temperature)
    return _mean_loss(student, head, chunk_loss, teacher.detach())


def _cross_entropy(logits: Tensor, head: LMHead, labels: Tensor, with_grad: bool) -> tuple[Tensor, Tensor | None]:
    target = labels[:, None]  # [C, 1]
    log_p = _log_softmax_(logits)
    loss = -log_p.gather(1, target).sum()
    if not with_grad:
        return loss, None
    return loss, log_p.exp_().scatter_add_(1, target, -log_p.new_ones(target.shape))


def _forward_kl(
    temperature: float, logits: Tensor, head: LMHead, teacher: Tensor, with_grad: bool
) -> tuple[Tensor, Tensor | None]:
    log_q = _log_softmax_(logits.div_(temperature))  # student [C, V]
    log_p = _log_softmax_(head.logits(teacher).div_(temperature))  # [C, V]
    p = log_p.exp()
    loss = log_p.sub_(log_q).mul_(p).sum() * temperature**2
    return loss, log_q.exp_().sub_(p).mul_(temperature) if with_grad else None


def _reverse_kl(
    temperature: float, logits: Tensor, head: LMHead, teacher: Tensor, with_grad: bool
) -> tuple[Tensor, Tensor | None]:
    log_q = _log_softmax_(logits.div_(temperature))  # student [C, V]
    log_p = _log_softmax_(head.logits(teacher).div_(temperature))  # [C, V]
    ratio = torch.sub(log_q, log_p, out=log_p)
    q = log_q.exp_()
    per_token = torch.linalg.vecdot(q, ratio)[:, None]  # [C, 1]
    loss = per_token.sum() * temperature**2
    return loss, ratio.sub_(per_token).mul_(q).mul_(temperature) if with_grad else None


def _log_softmax_(logits: Tensor) -> Tensor:
    """Log-probabilities [C, V] in the place of the logits."""
    return logits.sub_(logits.logsumexp(-1, keepdim=True))


def chunk_size(head: LMHead, device: torch.device) -> int:
    """Tokens of which the logits are held at a time."""
    elements = CHUNK_ELEMENTS.get(device.type, CHUNK_ELEMENTS["cpu"])
    # Compiled, logits are kept in bfloat16, not in float32 too.
    return max(1, elements * (1 + head.compiled) // head.vocab_size)


def _mean_loss(hidden_states: Tensor, head: LMHead, chunk_loss: ChunkLoss, compared: Tensor) -> Tensor:
    # Whether a gradient is wanted cannot be seen from within the function: it runs without gradients.
    with_grad = hidden_states.requires_grad and torch.is_grad_enabled()
    return _TokenLoss.apply(hidden_states, compared, head, chunk_loss, with_grad) / max(len(hidden_states), 1)


def _chunk(
    hidden_states: Tensor, compared: Tensor, head: LMHead, chunk_loss: ChunkLoss, with_grad: bool
) -> tuple[Tensor, Tensor | None]:
    """The summed loss of a chunk of tokens, and its gradient [C, H] by hidden state."""
    logits = head.logits(hidden_states)
    # Only the gradient of a softcap asks for the logits again.
    kept = logits if head.softcap is None or not with_grad else logits.clone()
    loss, grad_logits = chunk_loss(logits, head, compared, with_grad)
    return loss, None if grad_logits is None else head.grad_hidden(grad_logits, kept)


@cache
def _compiled_chunk() -> Callable[..., tuple[Tensor, Tensor | None]]:
    return torch.compile(_chunk, dynamic=True)


class _TokenLoss(torch.autograd.Function):
    """The sum over tokens of a chunked loss, with the gradient by hidden state computed in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, hidden_states: Tensor, compared: Tensor, head: LMHead, chunk_loss: ChunkLoss, with_grad: bool
    ) -> Tensor:
        grad = torch.empty_like(hidden_states) if with_grad else None
        total = hidden_states.new_zeros((), dtype=torch.promote_types(hidden_states.dtype, torch.float32))
        size = chunk_size(head, hidden_states.device)
        of_chunk = _compiled_chunk() if head.compiled else _chunk
        for start in range(0, len(hidden_states), size):
            chunk = slice(start, start + size)
            loss, grad_chunk = of_chunk(hidden_states[chunk], compared[chunk], head, chunk_loss, with_grad)
            total += loss
            if grad is not None and grad_chunk is not None:
                grad[chunk] = grad_chunk
        ctx.grad = grad
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        return None if ctx.grad is None else ctx.grad * grad_output.to(ctx.grad.dtype), None, None, None, None
