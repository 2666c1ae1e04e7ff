"""Sentences of a paragraph of English."""

import re

# Words that end in a full stop and seldom end a sentence, here without it.
_ABBREVIATION = re.compile(
    r"""mr|mrs|ms|dr|prof|st|rev|gen|col|lt|sgt|capt|hon|pres|sen|rep|gov|vs|cf|ca|approx|viz|fig|figs|vol|vols|no|nos
    |pp|ed|eds|trans|ch|sec|est|bros|dept|univ|assn|mt|ft|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|e\.g|i\.e|a\.d
    |([a-z]\.)*[a-z]  # initials""",
    re.VERBOSE,
)
# Those that end a sentence as often as not: the word that follows decides.
_EITHER = re.compile(r"etc|inc|ltd|co|corp|jr|sr|a\.m|p\.m|b\.c|u\.s|u\.k|u\.n|ph\.d|al")
_OPENER = re.compile(
    r"""the|an?|in|on|at|its?|he|she|his|her|they|their|this|these|that|those|there|when|while|after|before|although
    |however|as|for|from|by|with|most|some|many|all|both|since|during|if|but|and""",
    re.VERBOSE,
)
_CLOSING, _OPENING = r"""["'\u201d\u2019)\]]*""", r"""["'\u201c\u2018(\[]*"""
_END = re.compile(rf"(?<=[.!?]){_CLOSING}\s+(?={_OPENING}[A-Z0-9])")
_LAST_WORD = re.compile(rf"{_OPENING}(\S+?)\.{_CLOSING}$")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, with their closing quotes and brackets, which joined by spaces give the text again.

    A sentence ends at `.`, `!` or `?` before a capital or a digit, but not after an initial ("J. S. Bach") or an
    abbreviation; after one that may as well end a sentence ("U.S.", "etc.") only where a word follows that often
    starts one.
    """
    sentences, start = [], 0
    for end in _END.finditer(text):
        closing = end.start() + len(end[0].rstrip())
        before, after = text[start : end.start()] + end[0].rstrip(), text[end.end() :]
        if _goes_on(before, after):
            continue
        sentences.append(text[start:closing].strip())
        start = end.end()
    rest = text[start:].strip()
    return [*sentences, rest] if rest else sentences


def _goes_on(before: str, after: str) -> bool:
    last = _LAST_WORD.search(before)
    if last is None:
        return False
    word = last[1].lower()
    if _EITHER.fullmatch(word):
        first = re.match(r"\W*(\w+)", after)
        return first is None or not _OPENER.fullmatch(first[1].lower())
    return _ABBREVIATION.fullmatch(word) is not None
