"""Contrastive fine-tuning of an encoder, unsupervised and supervised."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm2comp.data.batches import ContrastiveBatch
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement, Objective
from llm2comp.objectives.contrastive.embedded import EmbeddedPairs
from llm2comp.objectives.contrastive.evened import evened
from llm2comp.objectives.contrastive.gather import gather
from llm2comp.objectives.contrastive.grad_cache import grad_cached
from llm2comp.objectives.contrastive.info_nce import InfoNCE
from llm2comp.objectives.contrastive.matryoshka import Matryoshka
from llm2comp.objectives.contrastive.spread_out import spread_out
from llm2comp.objectives.flops import pass_flops

# Padded tokens of a group of texts that are embedded together: enough to keep the processor busy.
GROUP_TOKENS = {"cpu": 1024, "cuda": 16_384}


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
        micro_batch_size: texts whose activations are held at a time, by GradCache; None holds those of the whole batch.
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
        """The batch's embeddings, computed in groups of texts of like lengths, so that little padding is read."""
        lengths = batch.attention_mask.sum(-1)  # [R]
        order = lengths.argsort(stable=True)
        if self.micro_batch_size is None:
            groups = evened(order.split(_group_sizes(lengths[order].tolist(), GROUP_TOKENS[lengths.device.type])))
            sorted_rows = torch.cat([encoder.embed(*_rows(batch, group)) for group in groups])
        else:
            chunks = [_rows(batch, group) for group in evened(order.split(self.micro_batch_size))]
            sorted_rows = grad_cached(lambda rows: encoder.embed(*rows), chunks, encoder.parameters())
        embeddings = sorted_rows[: len(order)][order.argsort()]  # [R, H], in the batch's order
        q = batch.num_pairs
        roles = [q, q, len(embeddings) - 2 * q]
        queries, positives, negatives = embeddings.split(roles)
        query_ids, positive_ids, negative_ids = batch.text_ids.split(roles)
        if len(negatives) == 0:
            return EmbeddedPairs(queries, positives, None, query_ids, positive_ids, None)
        return EmbeddedPairs(queries, positives, negatives, query_ids, positive_ids, negative_ids)

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


def _rows(batch: ContrastiveBatch, rows: Tensor) -> Rows:
    """Some rows of the batch, without the padding that all of them share."""
    start = batch.input_ids.shape[1] - int(batch.attention_mask[rows].sum(-1).max())
    return Rows(batch.input_ids[rows, start:], batch.attention_mask[rows, start:], batch.pooling_mask[rows, start:])


def _group_sizes(lengths: list[int], tokens: int) -> list[int]:
    """How many of the ascending lengths each group takes, so that its padded size stays within `tokens`."""
    sizes = [0]
    for length in lengths:
        if sizes[-1] and (sizes[-1] + 1) * length > tokens:
            sizes.append(0)
        sizes[-1] += 1
    return sizes
