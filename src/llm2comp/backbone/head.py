"""The language-model head: what turns hidden states into logits, a frozen matrix and what the architecture adds."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from llm2comp.backbone.forward import is_exact
from llm2comp.errors import UserError


@dataclass(frozen=True)
class LMHead:
    """logits = softcap(scale * (hidden @ weight.T + bias)), in float32.

    weight [V, H], bias [V] or None; `scale` as in Cohere and Granite, `softcap` as in Gemma 2. `compiled`: losses
    through it are compiled.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None
    compiled: bool = False

    @property
    def vocab_size(self) -> int:
        return self.weight.shape[0]

    def logits(self, hidden_states: Tensor) -> Tensor:
        """Logits [N, V] in at least float32 of hidden states [N, H]."""
        logits = hidden_states.to(self.weight.dtype) @ self.weight.T  # [N, V]
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.bias is not None:
            logits += self.bias
        if self.scale != 1.0:
            logits *= self.scale
        if self.softcap is not None:
            logits = logits.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits

    def grad_hidden(self, grad_logits: Tensor, logits: Tensor) -> Tensor:
        """The gradient [N, H] by hidden state, from the gradient [N, V] by the logits that `logits` returned."""
        if self.softcap is not None:
            grad_logits = grad_logits * (1 - (logits / self.softcap) ** 2)
        grad = grad_logits.to(self.weight.dtype) @ self.weight
        return grad * self.scale if self.scale != 1.0 else grad


def lm_head(lm: PreTrainedModel) -> LMHead:
    """The head of a causal language model.

    Raises UserError if the head of this architecture does more than this class knows.
    """
    output = lm.get_output_embeddings()
    if output is None:
        raise UserError(f"{type(lm).__name__} has no language-model head; load it as a causal language model")
    config = lm.config
    scale = getattr(config, "logit_scale", None) or 1.0 / (getattr(config, "logits_scaling", None) or 1.0)
    softcap = getattr(config, "final_logit_softcapping", None)
    bias = getattr(output, "bias", None)
    return LMHead(output.weight.detach(), None if bias is None else bias.detach(), scale, softcap)


@torch.no_grad()
def check_head(lm: PreTrainedModel) -> None:
    """Raise UserError unless `lm_head` gives the logits that the model itself gives."""
    ids = torch.arange(1, 4, device=lm.device)[None]
    hidden_states = lm.base_model(ids, use_cache=False).last_hidden_state[0]
    logits = lm(ids, use_cache=False).logits[0].float()
    error = (lm_head(lm).logits(hidden_states) - logits).abs().max()
    if error > (1e-4 if is_exact(lm) else 1e-2) * logits.abs().max():
        raise UserError(f"{lm.config.model_type} ({type(lm).__name__}) computes its logits in a way not supported here")
