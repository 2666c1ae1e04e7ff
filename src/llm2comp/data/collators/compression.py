"""Batches for compression pretraining."""

from typing import ClassVar

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from llm2comp.data.batches import CompressionBatch
from llm2comp.data.collators.padding import pad
from llm2comp.data.corpus import Corpus
from llm2comp.data.split_points import MIN_SPLIT, split_points
from llm2comp.encoder.tokenization import affixes


class CompressionCollator:
    """Cuts each paragraph into a text and its continuation, at a point that changes with the epoch."""

    min_tokens: ClassVar[int] = 2 * MIN_SPLIT

    def __init__(self, tokenizer: PreTrainedTokenizerBase, seed: int) -> None:
        before, _ = affixes(tokenizer)
        self.prefix_ids = np.array(before, np.int64)
        self.padding_id: int = tokenizer.pad_token_id
        self.seed = seed

    def sizes(self, corpus: Corpus, examples: np.ndarray, epoch: int) -> np.ndarray:
        lengths = corpus.lengths[examples]
        cuts = split_points(lengths, corpus.text_hashes[examples], self.seed, epoch)
        return np.stack([cuts + len(self.prefix_ids), lengths - cuts], axis=1)

    def __call__(self, corpus: Corpus, examples: np.ndarray, epoch: int) -> CompressionBatch:
        cuts = split_points(corpus.lengths[examples], corpus.text_hashes[examples], self.seed, epoch)
        texts, targets = [], []
        for example, cut in zip(examples, cuts, strict=True):
            input_ids = corpus.input_ids(example)
            texts.append(np.concatenate([self.prefix_ids, input_ids[:cut]]))
            targets.append(input_ids[cut:])
        text_ids, text_mask = pad(texts, self.padding_id, left=True)
        target_ids, target_mask = pad(targets, self.padding_id, left=False)
        return CompressionBatch(*map(torch.from_numpy, (text_ids, text_mask, target_ids, target_mask)))
