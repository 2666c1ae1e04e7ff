"""Continuation with knowledge distillation (CTKD)."""

from torch import Tensor

from llm2comp.errors import UserError
from llm2comp.objectives.compression.base import CompressionObjective
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.token_losses import kl_divergence


class Distillation(CompressionObjective):
    """KL(p(y | text) || p(y | memory)): the decoder must expect what it would after the text (arXiv 2511.17129, s. 3).

    `reverse` swaps the two; `temperature` softens both.
    """

    reads_continuation = True
    has_teacher = True

    def __init__(self, temperature: float = 1.0, reverse: bool = False) -> None:
        if temperature <= 0:
            raise UserError(f"the temperature of distillation must be above 0, not {temperature}")
        self.temperature = temperature
        self.reverse = reverse

    def loss(self, decoding: Decoding) -> Tensor:
        student, teacher = decoding.continuation.hidden_states, decoding.teacher.hidden_states
        return kl_divergence(student, teacher, decoding.head, self.temperature, self.reverse)
