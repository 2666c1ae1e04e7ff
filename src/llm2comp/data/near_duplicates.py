"""Texts that are the same but for case, punctuation and a word in ten."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable

_WORD = re.compile(r"\w+")


def words_of(text: str) -> frozenset[str]:
    """The words of a text, case-folded, without punctuation, order and repetition."""
    return frozenset(_WORD.findall(text.casefold()))


class NearDuplicates:
    """Finds the known texts whose words have a Jaccard similarity of at least 0.9 with a text's, exactly.

    Two sets so alike share one of the rarest tenth of their words (and one more; Chaudhuri et al. 2006, prefix
    filter), so only texts that share a rare word are compared. A text with no word is like no other.

    Args:
        texts: known texts, each with a label; `find` returns labels.
    """

    def __init__(self, texts: Iterable[tuple[str, int]]) -> None:
        labels: defaultdict[frozenset[str], set[int]] = defaultdict(set)
        for text, label in texts:
            labels[words_of(text)].add(label)
        labels.pop(frozenset(), None)
        frequency = Counter(word for words in labels for word in words)
        # Words are numbered from the rarest on, so sorting by number sorts by rarity.
        self._rank = {word: i for i, (word, _) in enumerate(sorted(frequency.items(), key=lambda item: item[::-1]))}
        self._known: list[array[int]] = []
        self._labels: list[set[int]] = []
        self._by_rare_word: defaultdict[int, list[int]] = defaultdict(list)
        for words, those in labels.items():
            ranks = sorted(self._rank[word] for word in words)
            for rank in ranks[: _prefix(len(ranks))]:
                self._by_rare_word[rank].append(len(self._known))
            self._known.append(array("i", ranks))
            self._labels.append(those)

    def find(self, text: str) -> set[int]:
        """The labels of all known texts that the text is like."""
        words = words_of(text)
        ranks = {self._rank[word] for word in words if word in self._rank}
        # Words that no known text has are the rarest of all.
        prefix = _prefix(len(words)) - (len(words) - len(ranks))
        if prefix <= 0 or not words:
            return set()
        candidates = {known for rank in sorted(ranks)[:prefix] for known in self._by_rare_word.get(rank, ())}
        found: set[int] = set()
        for candidate in candidates:
            shared = sum(rank in ranks for rank in self._known[candidate])
            if 10 * shared >= 9 * (len(words) + len(self._known[candidate]) - shared):
                found |= self._labels[candidate]
        return found


def _prefix(size: int) -> int:
    return size + (-9 * size) // 10 + 1
