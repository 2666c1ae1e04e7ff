"""What the frozen decoder says from the memory tokens of a text, beside what it says from the text."""

from dataclasses import dataclass

import torch
from torch import Tensor

from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.tokenization import left_pad, tokenize
from llm2comp.errors import UserError
from llm2comp.objectives.compression import Decoding
from llm2comp.objectives.compression.decoding import Predictions


@dataclass(frozen=True)
class Agreement:
    """Tokens as they are, and whether the decoder, given the ones before, says each from memory alone."""

    tokens: list[str]
    said: list[bool]

    @property
    def share(self) -> float:
        return sum(self.said) / max(len(self.said), 1)


@dataclass(frozen=True)
class Reading:
    """What the decoder says from memory and from the text, greedily, and how far the two agree token by token."""

    from_memory: str
    from_text: str
    text: Agreement
    continuation: Agreement


@torch.no_grad()
def read_memory(encoder: Encoder, text: str, max_new_tokens: int = 40) -> Reading:
    """Compress `text` and let the frozen decoder speak; raises UserError for an encoder without memory tokens."""
    if encoder.memory is None:
        raise UserError(f"{encoder.config.base} has no memory tokens, so there is nothing to decode from")
    tokenizer, device = encoder.tokenizer, encoder.backbone.device
    ids, mask = left_pad(tokenize(tokenizer, [text], encoder.max_text_tokens), 0)
    ids, mask = ids.to(device), mask.to(device)
    prefix = encoder.backbone.decoder_embed(ids)
    expected = _generate(encoder, prefix, max_new_tokens)  # [1, S]
    decoding = Decoding(encoder, CompressionBatch(ids, mask, expected, torch.ones_like(expected)))
    bos = encoder.backbone.decoder_embed(ids[:, :1])
    memory = encoder.memory.for_decoder(decoding.memory).to(bos.dtype)
    said = _generate(encoder, torch.cat([bos, memory], dim=1), max_new_tokens)
    return Reading(
        from_memory=str(tokenizer.decode(said[0], skip_special_tokens=True)),
        from_text=str(tokenizer.decode(expected[0], skip_special_tokens=True)),
        text=_agreement(encoder, decoding, decoding.reconstruction),
        continuation=_agreement(encoder, decoding, decoding.continuation),
    )


def _generate(encoder: Encoder, prefix: Tensor, max_new_tokens: int) -> Tensor:
    with encoder.backbone.as_decoder() as lm:
        return lm.generate(  # type: ignore[operator]  # torch types what a module inherits as Tensor | Module
            inputs_embeds=prefix,
            attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long, device=prefix.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=encoder.tokenizer.pad_token_id,
        )


def _agreement(encoder: Encoder, decoding: Decoding, predictions: Predictions) -> Agreement:
    said = decoding.head.logits(predictions.hidden_states).argmax(-1)
    tokens = [str(encoder.tokenizer.decode([token])) for token in predictions.labels.tolist()]
    return Agreement(tokens, (said == predictions.labels).tolist())
