"""Reconstruction (RC)."""

from torch import Tensor

from llm2comp.objectives.compression.base import CompressionObjective
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.token_losses import cross_entropy


class Reconstruction(CompressionObjective):
    """-log p(n | memory): the decoder must say the text itself (arXiv 2511.17129, section 3)."""

    reads_text = True

    def loss(self, decoding: Decoding) -> Tensor:
        student = decoding.reconstruction
        return cross_entropy(student.hidden_states, student.labels, decoding.head)
