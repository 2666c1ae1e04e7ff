"""The features of words: means of a frozen encoder's states, computed once and kept on disk."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from llm2comp.backbone.forward import evaluation_mode
from llm2comp.data.cache import cached
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.encoding import TOKEN_BUDGET
from llm2comp.encoder.fingerprint import digest
from llm2comp.encoder.tokenization import left_pad
from llm2comp.errors import UserError
from llm2comp.evaluation.words.reading import Reading, ReadingOption, natural_reading
from llm2comp.evaluation.words.sentence import Sentence
from llm2comp.evaluation.words.subwords import UNREAD, Subwords, subwords

# Raise it when the features of the same words come out otherwise.
CODE_VERSION = 1


@dataclass(frozen=True)
class Features:
    """Features [N, H] of the words of all sentences in their order, float16 in a memory map, and how many are unread.

    The feature of a word that is not read is zero: what the head says of it rests on no word at all.
    """

    values: np.ndarray
    unread: int


class WordReader:
    """A frozen encoder that reads words, with its features of them in the user's cache.

    A word's feature is the mean of its sub-words' last hidden states (`same`), or of the states one position before
    each of them (`previous`), in the sentence as the encoder reads it, [BOS, words, memory tokens]. `auto` is the
    reading that the encoder was trained for.
    """

    def __init__(self, encoder: Encoder, reading: ReadingOption = "auto") -> None:
        self.encoder = encoder
        self.reading: Reading = natural_reading(encoder.config) if reading == "auto" else reading
        self.fingerprint = encoder.fingerprint()

    def features(self, sentences: Sequence[Sentence]) -> Features:
        """The features of the words, which their tags play no part in, from the cache or made now.

        Raises UserError for states that are not finite in float16.
        """
        words = [sentence.words for sentence in sentences]
        key = {
            "code_version": CODE_VERSION,
            "encoder": self.fingerprint,
            "reading": self.reading,
            "words": digest(words),
        }

        def write(folder: Path) -> dict[str, Any]:
            read = subwords(self.encoder.tokenizer, words, self.encoder.max_text_tokens)
            spans = [span for sentence in read for span in sentence.spans]
            shape = (len(spans), self.encoder.backbone.hidden_size)
            values = np.lib.format.open_memmap(folder / "features.npy", mode="w+", dtype=np.float16, shape=shape)
            _fill(values, self.encoder, read, self.reading)
            values.flush()
            return {"words": len(spans), "unread": spans.count(UNREAD)}

        folder = cached("words", key, write)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))["report"]
        return Features(np.load(folder / "features.npy", mmap_mode="r"), report["unread"])


@torch.no_grad()
def _fill(values: np.ndarray, encoder: Encoder, read: Sequence[Subwords], reading: Reading) -> None:
    """Write the features [N, H] of the words of all sentences."""
    firsts = np.cumsum([0, *(len(sentence.spans) for sentence in read)])
    device, pad_id = encoder.backbone.device, encoder.tokenizer.pad_token_id or 0
    bar = tqdm(total=len(values), desc="Reading words", unit="word", delay=5)
    with evaluation_mode(encoder), bar:
        for batch in _batches(read, encoder.num_memory_tokens, TOKEN_BUDGET.get(device.type, TOKEN_BUDGET["cpu"])):
            sentences = [read[i] for i in batch]
            ids, mask = left_pad([sentence.input_ids for sentence in sentences], pad_id)
            hidden_states, _ = encoder(ids.to(device), mask.to(device))  # [B, T + k, H]
            means = mean_of_subwords(hidden_states[:, : ids.shape[1]], sentences, reading).half().cpu()
            if not means.isfinite().all():
                raise UserError(f"{encoder.config.base}: states of words are not finite in float16")
            rows = np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in batch])
            values[rows] = means.numpy()
            bar.update(len(rows))


def mean_of_subwords(hidden_states: Tensor, sentences: Sequence[Subwords], reading: Reading) -> Tensor:
    """Float32 features [N, H] of the words of left-padded sentences, of their states [B, T, H]; 0 for unread words."""
    length = hidden_states.shape[1]
    words: list[int] = []
    tokens: list[int] = []
    count = 0
    for row, sentence in enumerate(sentences):
        offset = (row + 1) * length - len(sentence.input_ids) - (reading == "previous")
        for start, end in sentence.spans:
            words += [count] * (end - start)
            tokens += range(offset + start, offset + end)
            count += 1
    index = torch.tensor(words, dtype=torch.long, device=hidden_states.device)
    states = hidden_states.flatten(0, 1)[tokens].float()  # [S, H]
    sums = states.new_zeros(count, states.shape[1]).index_add_(0, index, states)
    return sums / index.bincount(minlength=count).clamp(min=1)[:, None]


def _batches(read: Sequence[Subwords], num_memory_tokens: int, budget: int) -> Iterator[list[int]]:
    """Indices of sentences of like length, the longest first so that memory peaks at once."""
    order = sorted(range(len(read)), key=lambda i: -len(read[i].input_ids))
    while order:
        rows = max(1, budget // (len(read[order[0]].input_ids) + num_memory_tokens))
        yield order[:rows]
        order = order[rows:]
