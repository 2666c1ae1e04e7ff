"""Continuation (NLL)."""

from torch import Tensor

from llm2comp.objectives.compression.base import CompressionObjective
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.token_losses import cross_entropy


class Continuation(CompressionObjective):
    """-log p(y | memory): the decoder must say what follows the text (arXiv 2511.17129, section 3)."""

    reads_continuation = True

    def loss(self, decoding: Decoding) -> Tensor:
        student = decoding.continuation
        return cross_entropy(student.hidden_states, student.labels, decoding.head)
