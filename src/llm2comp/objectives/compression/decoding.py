"""The passes of one batch that the compression objectives share, each made once, when first asked for."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from llm2comp.backbone.head import LMHead
from llm2comp.data.batches import CompressionBatch
from llm2comp.encoder.encoder import Encoder


@dataclass(frozen=True)
class Predictions:
    """Decoder states [N, H] at the positions that predict the tokens `labels` [N], padding left out."""

    hidden_states: Tensor
    labels: Tensor


class Decoding:
    """An encoder, its frozen decoder and a batch: what the decoder predicts from memory, from the text, from nothing.

    ```
    encoder   [BOS, n_1 .. n_a, m_1 .. m_k]  ->  memory states m~_1 .. m~_k
    student   [BOS, m~_1 .. m~_k, y_1 .. y_{T-1}]   predicts y_1 .. y_T
    teacher   [BOS, n_1 .. n_a,   y_1 .. y_{T-1}]   predicts y_1 .. y_T
    ```
    (arXiv 2511.17129, section 3.)
    """

    def __init__(self, encoder: Encoder, batch: CompressionBatch) -> None:
        self.encoder = encoder
        self.batch = batch

    @property
    def head(self) -> LMHead:
        return self.encoder.backbone.head

    @cached_property
    def memory(self) -> Tensor:
        """Memory states [B, k, H] of the texts."""
        return self.encoder.compress(self.batch.text_ids, self.batch.text_mask)

    @cached_property
    def continuation(self) -> Predictions:
        """The student's predictions of the continuation, from the memory states."""
        return self._from_memory(self.batch.target_ids, self.batch.target_mask)

    @cached_property
    def reconstruction(self) -> Predictions:
        """The student's predictions of the text itself, from the memory states."""
        ids, mask = to_right_padded(self.batch.text_ids, self.batch.text_mask)
        return self._from_memory(ids[:, 1:], mask[:, 1:])  # BOS is given, not predicted

    @cached_property
    @torch.no_grad()
    def teacher(self) -> Predictions:
        """The teacher's predictions of the continuation, from the whole text."""
        prefix = self.encoder.backbone.decoder_embed(self.batch.text_ids)
        return self._decode(prefix, self.batch.text_mask, self.batch.target_ids, self.batch.target_mask)

    @cached_property
    @torch.no_grad()
    def without_context(self) -> Predictions:
        """The decoder's predictions of the continuation from BOS alone: what is known without any memory."""
        bos = self._bos()
        prefix = self.encoder.backbone.decoder_embed(bos)
        return self._decode(prefix, torch.ones_like(bos), self.batch.target_ids, self.batch.target_mask)

    def _bos(self) -> Tensor:
        """BOS [B, 1]: the last padding stands before it, so it is the first real token of each text."""
        ids, _ = to_right_padded(self.batch.text_ids, self.batch.text_mask)
        return ids[:, :1]

    def _from_memory(self, target_ids: Tensor, target_mask: Tensor) -> Predictions:
        assert self.encoder.memory is not None
        bos = self.encoder.backbone.decoder_embed(self._bos())
        memory = self.encoder.memory.for_decoder(self.memory).to(bos.dtype)
        prefix = torch.cat([bos, memory], dim=1)  # [B, 1 + k, H]
        return self._decode(prefix, target_mask.new_ones(prefix.shape[:2]), target_ids, target_mask)

    def _decode(self, prefix: Tensor, prefix_mask: Tensor, target_ids: Tensor, target_mask: Tensor) -> Predictions:
        """The state before each target token, from a prefix [B, P, H] that ends at its right edge."""
        backbone = self.encoder.backbone
        embeds = torch.cat([prefix, backbone.decoder_embed(target_ids[:, :-1])], dim=1)
        mask = torch.cat([prefix_mask, target_mask[:, :-1]], dim=1)
        first = prefix.shape[1] - 1
        hidden_states = backbone.decode(embeds, mask)[:, first : first + target_ids.shape[1]]  # [B, T, H]
        real = target_mask.bool()
        return Predictions(hidden_states[real], target_ids[real])


def to_right_padded(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Left-padded ids and mask [B, T] with each row's padding moved to its right."""
    padding = mask.shape[1] - mask.sum(-1, keepdim=True)  # [B, 1]
    index = (torch.arange(mask.shape[1], device=mask.device) + padding) % mask.shape[1]  # [B, T]
    return ids.gather(1, index), mask.gather(1, index)
