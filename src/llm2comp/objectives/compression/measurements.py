"""What validation reports of an encoder that compresses: how much context its memory carries, and its shape."""

from llm2comp.geometry import memory_norm, pairwise_correlation
from llm2comp.objectives.base import Measurement
from llm2comp.objectives.compression.decoding import Decoding
from llm2comp.objectives.token_losses import kl_divergence


def context_recovered(decoding: Decoding) -> Measurement:
    """1 - KL(with memory) / KL(without any), of the decoder's predictions against those from the whole text.

    1: as good as the text; 0: no better than nothing; below 0: it misleads. Weighted so that the mean over batches is
    that of the sums.
    """
    teacher = decoding.teacher.hidden_states
    with_memory = kl_divergence(decoding.continuation.hidden_states, teacher, decoding.head)
    without = kl_divergence(decoding.without_context.hidden_states, teacher, decoding.head)
    return Measurement(1 - with_memory / without, without * len(teacher))


def memory_geometry(decoding: Decoding) -> dict[str, Measurement]:
    """Root mean square of the memory states, and the correlation between those of one text (1: collapsed)."""
    memory = decoding.memory
    measured = {"memory_norm": Measurement(memory_norm(memory), len(memory))}
    if memory.shape[1] > 1:
        measured["memory_correlation"] = Measurement(pairwise_correlation(memory), len(memory))
    return measured
