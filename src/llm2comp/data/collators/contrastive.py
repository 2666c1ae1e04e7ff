"""Batches for contrastive training."""

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from llm2comp.data.batches import ContrastiveBatch
from llm2comp.data.collators.padding import pad
from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.encoder.tokenization import affixes, start_id


class ContrastiveCollator:
    """Puts queries, one positive each and some of their hard negatives in rows, as the tokenizer reads them.

    Which positive and which negatives hangs on seed, epoch and pair. A text paired with itself, as in SimCSE, fills
    two rows.

    Args:
        pool_instructions: whether pooling takes in the tokens of instructions; if not, the tokens that stand before
            an instruction (BOS) are left out with it, as sentence-transformers does.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, seed: int, pool_instructions: bool) -> None:
        before, after = affixes(tokenizer)
        self.before, self.after = np.array(before, np.int64), np.array(after, np.int64)
        self.empty = np.array([start_id(tokenizer)], np.int64)
        self.padding_id: int = tokenizer.pad_token_id
        self.seed, self.pool_instructions = seed, pool_instructions

    def __call__(self, corpus: PairMixture, examples: np.ndarray, epoch: int) -> ContrastiveBatch:
        number, indices = corpus.locate(examples)
        pairs, max_negatives = corpus.corpora[number], corpus.sets[number].max_negatives
        texts = [
            *(int(pairs.queries[i]) for i in indices),
            *(pairs.positive(i, self.seed, epoch) for i in indices),
            *(int(t) for i in indices for t in pairs.some_negatives(i, max_negatives, self.seed, epoch)),
        ]
        input_ids, attention_mask = pad([self._row(pairs, text) for text in texts], self.padding_id, left=True)
        pooling_mask = attention_mask
        if not self.pool_instructions:
            # A row cut down to its instruction keeps its last token: a mean over none is no number.
            left_out = np.minimum(pairs.prompt_tokens[texts], attention_mask.sum(1) - 1)
            pooling_mask = attention_mask * (attention_mask.cumsum(1) > left_out[:, None])
        text_ids = pairs.texts.text_hashes[texts].view(np.int64)
        return ContrastiveBatch(
            torch.from_numpy(input_ids),
            torch.from_numpy(attention_mask),
            torch.from_numpy(pooling_mask.copy()),
            torch.from_numpy(text_ids),
            num_pairs=len(indices),
        )

    def _row(self, pairs: PairCorpus, text: int) -> np.ndarray:
        row = np.concatenate([self.before, pairs.texts.input_ids(text), self.after])
        return row if len(row) else self.empty
