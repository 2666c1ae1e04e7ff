"""Which tokens of a sentence are whose sub-words."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from transformers import PreTrainedTokenizerBase

from llm2comp.encoder.tokenization import affixes, start_id

UNREAD = (0, 0)


@dataclass(frozen=True)
class Subwords:
    """A sentence as it is read, [BOS, words]: its tokens, and for each word where its sub-words start and end.

    The span of a word that is not read, as the sentence is too long or the word is no token at all, is UNREAD.
    """

    input_ids: list[int]
    spans: list[tuple[int, int]]


def subwords(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[Sequence[str]], max_length: int) -> list[Subwords]:
    """The tokens, `max_length` at most, of sentences of words with one space between them.

    They are those of the whole sentence: a word's first sub-word takes in the space before it, and the first word
    has none. Every sentence starts with a BOS token, also where the tokenizer puts none before a text: then every
    word has a state before its own, and whatever encoders are compared read the same.
    """
    before, after = affixes(tokenizer)
    before = before or [start_id(tokenizer)]
    encoded = tokenizer(
        [" ".join(words) for words in sentences],
        add_special_tokens=False,
        return_offsets_mapping=True,
        verbose=False,  # a sentence that is too long is cut here
    )
    room = max_length - len(before) - len(after)
    read = []
    for words, ids, offsets in zip(sentences, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        spans = _spans(words, offsets[:room], first=len(before))
        read.append(Subwords([*before, *ids[:room], *after], spans))
    return read


def _spans(words: Sequence[str], offsets: Sequence[tuple[int, int]], first: int) -> list[tuple[int, int]]:
    """Spans of tokens, the first of which is number `first`, whose characters in the sentence are `offsets`."""
    lengths = [len(word) + 1 for word in words]
    ends = [end - 1 for end in accumulate(lengths)]
    starts = [end - len(word) for end, word in zip(ends, words, strict=True)]
    spans = [UNREAD] * len(words)
    for token, (start, end) in enumerate(offsets, start=first):
        # A space, alone or at the start of a token, belongs to the word that follows.
        word = bisect_right(ends, start)
        last = max(word, bisect_left(starts, end) - 1)
        for index in range(word, last + 1):
            spans[index] = (spans[index][0] or token, token + 1)
    return spans
