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
    backward = 1 if backbone.has_adapters else 2
    total = pass_flops(backbone.lm, text + k, backbone.direction == "causal", backward)
    students = [text - 1] * reads_text + [target] * reads_continuation
    for predicted in students:
        total += pass_flops(backbone.decoder, k + predicted, causal=True, backward=1)
        total += 2 * head_flops(backbone.decoder, float(predicted.sum()))
    if has_teacher:
        total += pass_flops(backbone.decoder, text + target - 1, causal=True)
        total += head_flops(backbone.decoder, float(target.sum()))
    return total
