"""Contrastive fine-tuning of an encoder, unsupervised and supervised."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm2comp.data.batches import ContrastiveBatch
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement, Objective
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.gather import gather
from llm2comp.objectives.contrastive.grad_cache import grad_cached
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from llm2comp.objectives.contrastive.matryoshka import Matryoshka
from llm2comp.objectives.contrastive.spread_out import spread_out
from llm2comp.objectives.flops import pass_flops


class Rows(NamedTuple):
    """Texts that are embedded together, left-padded: token ids, mask, and mask of the tokens pooled, [r, T] each."""

    input_ids: Tensor
    attention_mask: Tensor
    pooling_mask: Tensor


class Contrastive(nn.Module, Objective):
    """InfoNCE over all texts of the batch on all processes (arXiv 2511.17129, section 3; see `InfoNCE`).

    Args:
        temperature, learned_temperature, symmetric, false_negative_margin: as in `InfoNCE`.
        matryoshka_dims: also train the first so many dimensions of the embedding (see `Matryoshka`).
        spread_out_weight: weight of the spread-out regulariser (see `spread_out`).
        micro_batch_size: texts embedded at a time, by GradCache; None embeds the whole batch at once.
    """

    batch_type = ContrastiveBatch

    def __init__(
        self,
        temperature: float = 0.05,
        learned_temperature: bool = False,
        symmetric: bool = False,
        false_negative_margin: float | None = None,
        matryoshka_dims: list[int] | None = None,
        spread_out_weight: float = 0.0,
        micro_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if micro_batch_size is not None and micro_batch_size < 1:
            raise UserError(
                f"micro_batch_size is {micro_batch_size}; it must be at least 1, or null for the whole batch"
            )
        info_nce = InfoNCE(temperature, learned_temperature, symmetric, false_negative_margin)
        self.info_nce: nn.Module = Matryoshka(info_nce, matryoshka_dims) if matryoshka_dims else info_nce
        self.spread_out_weight = spread_out_weight
        self.micro_batch_size = micro_batch_size

    def forward(self, encoder: Encoder, batch: ContrastiveBatch) -> Tensor:
        pairs = gather(self.embed(encoder, batch))
        loss = self.info_nce(pairs)
        if self.spread_out_weight:
            loss = loss + self.spread_out_weight * spread_out(pairs)
        return loss

    def embed(self, encoder: Encoder, batch: ContrastiveBatch) -> EmbeddedPairs:
        """The batch's embeddings, a micro-batch of texts of like lengths at a time."""
        order, chunks = self._chunks(batch)
        if len(chunks) == 1:
            sorted_rows = encoder.embed(*chunks[0])
        else:
            sorted_rows = grad_cached(lambda chunk: encoder.embed(*chunk), chunks, encoder.parameters())
        embeddings = sorted_rows[order.argsort()]  # [R, H], in the batch's order
        q = batch.num_pairs
        queries, positives, negatives = embeddings[:q], embeddings[q : 2 * q], embeddings[2 * q :]
        query_ids, positive_ids, negative_ids = (batch.text_ids[:q], batch.text_ids[q : 2 * q], batch.text_ids[2 * q :])
        if len(negatives) == 0:
            return EmbeddedPairs(queries, positives, None, query_ids, positive_ids, None)
        return EmbeddedPairs(queries, positives, negatives, query_ids, positive_ids, negative_ids)

    def _chunks(self, batch: ContrastiveBatch) -> tuple[Tensor, Sequence[Rows]]:
        """The order [R] by length, and micro-batches in it without the padding that all their rows share."""
        lengths = batch.attention_mask.sum(-1)  # [R]
        order = lengths.argsort(stable=True)
        chunks = []
        for rows in order.split(self.micro_batch_size or len(order)):
            start = batch.input_ids.shape[1] - int(lengths[rows].max())
            chunks.append(
                Rows(
                    batch.input_ids[rows, start:],
                    batch.attention_mask[rows, start:],
                    batch.pooling_mask[rows, start:],
                )
            )
        return order, chunks

    def measure(self, encoder: Encoder, batch: ContrastiveBatch) -> dict[str, Measurement]:
        pairs = self.embed(encoder, batch)
        similarity = F.normalize(pairs.queries, dim=-1) @ F.normalize(pairs.candidates, dim=-1).T  # [Q, Q + M]
        found = similarity.argmax(-1) == torch.arange(len(similarity), device=similarity.device)
        weight = batch.num_pairs
        return {
            "loss": Measurement(self.info_nce(pairs), weight),
            "accuracy": Measurement(found.float().mean(), weight),
        }

    def flops(self, encoder: Encoder, batch: ContrastiveBatch) -> float:
        backbone = encoder.backbone
        lengths = batch.attention_mask.sum(-1) + encoder.num_memory_tokens
        backward = 1.0 if backbone.has_adapters else 2.0
        return (1 + backward) * pass_flops(backbone.lm, lengths, causal=backbone.direction == "causal")
