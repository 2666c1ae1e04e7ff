"""Floating-point operations of a compression step."""

from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.encoder import Encoder
from llm2comp.objectives.flops import head_flops, pass_flops


def compression_flops(
    encoder: Encoder, batch: CompressionBatch, reads_text: bool, reads_continuation: bool, has_teacher: bool
) -> float:
    """Operations of the encoder's pass and its backward, and of the frozen decoder's passes the objective makes."""
    backbone = encoder.backbone
    k = encoder.num_memory_tokens
    text = batch.text_mask.sum(-1)  # [B], BOS included
    target = batch.target_mask.sum(-1)  # [B]
    # A frozen weight has no gradient of its own: backward costs one forward pass. A trained one costs two.
    backward = 1.0 if backbone.has_adapters else 2.0
    total = (1 + backward) * pass_flops(backbone.lm, text + k, causal=backbone.direction == "causal")
    students = [text - 1] * reads_text + [target] * reads_continuation
    for predicted in students:
        forward = pass_flops(backbone.decoder, k + predicted, causal=True)
        total += 2 * (forward + head_flops(backbone.decoder, float(predicted.sum())))
    if has_teacher:
        total += pass_flops(backbone.decoder, text + target - 1, causal=True)
        total += head_flops(backbone.decoder, float(target.sum()))
    return total
