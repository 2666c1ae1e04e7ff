"""Hard negatives: texts that an encoder takes to answer a query, though they do not."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers.util import cos_sim, mine_hard_negatives, pairwise_cos_sim

from llm2comp.data.pairs.pair import Pair
from llm2comp.encoder.encoder import Encoder
from llm2comp.errors import UserError
from llm2comp.prompts import Instruction


def mine(
    encoder: Encoder,
    pairs: Sequence[Pair],
    instruction: Instruction | None = None,
    negatives: int = 5,
    range_min: int = 10,
    range_max: int = 50,
    margin: float | None = 0.95,
    max_length: int | None = None,
) -> list[Pair]:
    """The pairs with the hard negatives that the encoder finds among all their positives and negatives.

    Candidates are the texts ranked from `range_min` to `range_max` by cosine: the nearest of all are often answers
    that nobody marked. With `margin`, only those whose cosine is at most that part of the positive's (NV-Retriever,
    arXiv 2407.15831). A pair may get fewer than `negatives`, and none. Texts of a query's other positives are never
    taken. Raises UserError for ranges that are empty and for embeddings that are not finite.
    """
    _check(pairs, negatives, range_min, range_max, margin)
    rows = [(pair.query, positive) for pair in pairs for positive in pair.positives]
    found = mine_hard_negatives(
        Dataset.from_dict({"query": [query for query, _ in rows], "positive": [text for _, text in rows]}),
        _Model(encoder, instruction, max_length),  # type: ignore[arg-type]
        corpus=list(dict.fromkeys(text for pair in pairs for text in (*pair.positives, *pair.negatives))),
        num_negatives=negatives,
        range_min=range_min,
        range_max=range_max,
        relative_margin=None if margin is None else 1 - margin,
        verbose=False,
    )
    return _gathered(pairs, zip(found["query"], found["negative"], strict=True), negatives)


def _check(pairs: Sequence[Pair], negatives: int, range_min: int, range_max: int, margin: float | None) -> None:
    if not pairs:
        raise UserError("there is no pair to mine negatives for")
    if negatives < 1:
        raise UserError(f"negatives must be at least 1, not {negatives}")
    if range_min < 0 or range_max - range_min < negatives:
        raise UserError(
            f"between range_min {range_min} and range_max {range_max} there must be room for {negatives} negatives"
        )
    if margin is not None and not 0 < margin <= 1:
        raise UserError(f"margin must be in (0, 1], not {margin}")


def _gathered(pairs: Sequence[Pair], mined: Iterable[tuple[str, str]], limit: int) -> list[Pair]:
    """The negatives by query; what is a positive of the query in any pair is none of its negatives."""
    by_query: dict[str, dict[str, None]] = {}
    for query, negative in mined:
        by_query.setdefault(query, {})[negative] = None
    for pair in pairs:
        for positive in pair.positives:
            by_query.get(pair.query, {}).pop(positive, None)
    return [Pair(pair.query, pair.positives, [*by_query.get(pair.query, ())][:limit], pair.group) for pair in pairs]


class _Model:
    """What `mine_hard_negatives` asks of a model."""

    device = torch.device("cpu")
    similarity = staticmethod(cos_sim)
    similarity_pairwise = staticmethod(pairwise_cos_sim)

    def __init__(self, encoder: Encoder, instruction: Instruction | None, max_length: int | None) -> None:
        self.encoder, self.instruction, self.max_length = encoder, instruction, max_length

    def encode_query(self, texts: list[str], **options: Any) -> np.ndarray:
        return self._encode(texts, self.instruction.query if self.instruction else None)

    def encode_document(self, texts: list[str], **options: Any) -> np.ndarray:
        return self._encode(texts, self.instruction.document if self.instruction else None)

    def _encode(self, texts: list[str], prompt: str | None) -> np.ndarray:
        embeddings = self.encoder.encode(texts, prompt=prompt, max_length=self.max_length, normalize_embeddings=True)
        broken = np.flatnonzero(~np.isfinite(embeddings).all(-1))
        if len(broken):
            raise UserError(f"the embedding of {texts[broken[0]]!r} is not finite; this encoder cannot mine")
        return embeddings
