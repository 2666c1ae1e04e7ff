"""The largest batches that an experiment's options let happen."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from llm2comp.data.batches import IGNORED, CompressionBatch, ContrastiveBatch, MaskedBatch
from llm2comp.data.split_points import MIN_SPLIT
from llm2comp.errors import UserError
from llm2comp.planning.training import Training


@dataclass(frozen=True)
class BatchSize:
    """The option that says how much is read at a time, and what it is set to.

    `per_row`: how much of it one of the longest rows takes. `shared`: whether processes share it.
    """

    option: str
    value: int
    per_row: int = 1
    shared: bool = False

    def rows(self, processes: int) -> int:
        """Rows of a batch on each process."""
        return self.value // self.per_row // (processes if self.shared else 1)

    def value_for(self, rows: int, processes: int) -> int:
        """What the option has to be for so many rows on each process."""
        return rows * self.per_row * (processes if self.shared else 1)


def batch_size(training: Training) -> BatchSize:
    """The option of the experiment; raises UserError for a token budget that is less than one text."""
    if isinstance(micro := getattr(training.objective, "micro_batch_size", None), int):
        return BatchSize("model.objective.init_args.micro_batch_size", micro)
    data = training.data
    if data.batch_size is not None:
        return BatchSize("data.batch_size", data.batch_size, shared=True)
    assert data.token_budget is not None
    tokens = _text_tokens(training, data.max_tokens) + 1
    if tokens > data.token_budget:
        raise UserError(
            f"token_budget {data.token_budget} is less than the longest example, {tokens} tokens; raise token_budget "
            "or lower data.max_tokens"
        )
    return BatchSize("data.token_budget", data.token_budget, tokens)


def full_batch(training: Training, rows: int) -> Any:
    """A batch of so many rows of the longest texts there may be, one of them a token shorter than the others.

    Where rows are cut into a text and its continuation and a batch counts rows, one may be cut at its end and another
    at its start, so both parts are long; where it counts tokens, rows of like parts are together, and long texts need
    more than long continuations. One token is taken to stand before every text, BOS.
    """
    make = _BATCHES.get(training.objective.batch_type)
    if make is None:
        raise UserError(f"{type(training.objective).__name__} reads {training.objective.batch_type}, unknown to plan")
    return make(training, rows)


def _compression(training: Training, rows: int) -> CompressionBatch:
    longest = _text_tokens(training, training.data.max_tokens)
    text = longest - MIN_SPLIT
    target = text if training.data.batch_size is not None and rows > 1 else MIN_SPLIT
    text_mask, target_mask = _mask(rows, text + 1), _mask(rows, target)
    return CompressionBatch(torch.ones_like(text_mask), text_mask, torch.ones_like(target_mask), target_mask)


def _masked(training: Training, rows: int) -> MaskedBatch:
    mask = _mask(rows, _text_tokens(training, training.data.max_tokens) + 1)
    every = max(1, round(1 / training.objective.masking.rate))  # type: ignore[attr-defined]
    labels = torch.full_like(mask, IGNORED)
    labels[:, 1::every] = 1
    return MaskedBatch(torch.ones_like(mask), mask, labels)


def _contrastive(training: Training, rows: int) -> ContrastiveBatch:
    data, pairs, negatives = training.data, rows, _negatives(training)
    if getattr(training.objective, "micro_batch_size", None) is not None:
        assert data.batch_size is not None
        # Of the chunks, of which one is held at a time, two show how their gradients are added up.
        pairs = min(data.batch_size, -(-2 * rows // (2 + negatives)))
    query = _text_tokens(training, data.max_query_tokens or data.max_tokens) + 1
    document = _text_tokens(training, data.max_document_tokens or data.max_tokens) + 1
    width = max(query, document)
    queries, documents = _mask(pairs, query), _mask(pairs * (1 + negatives), document)
    mask = torch.cat([F.pad(queries, (width - query, 0)), F.pad(documents, (width - document, 0))])
    return ContrastiveBatch(torch.ones_like(mask), mask, mask, torch.arange(len(mask)), pairs)


def _negatives(training: Training) -> int:
    """The most hard negatives that a pair of the source can have; plain text has none."""
    train = training.data.train
    if isinstance(train, list):
        return max(each.max_negatives for each in train)
    return 0 if train.startswith("embedded:") or ".txt" in train else 1


_BATCHES = {CompressionBatch: _compression, MaskedBatch: _masked, ContrastiveBatch: _contrastive}


def _text_tokens(training: Training, limit: int | None) -> int:
    """Tokens of the longest text, BOS and memory tokens not counted."""
    readable = training.config.max_length - training.config.num_memory_tokens - 1
    return min(limit or readable, readable)


def _mask(rows: int, length: int) -> Tensor:
    """[rows, length] of ones, but one zero: batches of texts of one length are rare, and take less."""
    mask = torch.ones(rows, length, dtype=torch.long)
    if rows > 1:
        mask[0, 0] = 0
    return mask
