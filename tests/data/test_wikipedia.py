"""The embedded articles are prose, and as many as the package is known to hold."""

import re

import pytest

from llm2comp.data.sources.registry import open_source
from llm2comp.data.sources.wikipedia import clean


@pytest.mark.parametrize(
    ("line", "prose"),
    [
        ("'''Alabama''' () is a ''state''", "Alabama is a state"),
        ("'''Abraham Lincoln''' (; February 12, 1809 )", "Abraham Lincoln (February 12, 1809)"),
        ("Aristotle (;  , Aristotélēs; 384\xa0BC)", "Aristotle (Aristotélēs; 384 BC)"),
        ("with ASD , a 30% increase", "with ASD, a 30% increase"),
        ("angle, , and the", "angle, and the"),
        ("was the first ... to (be) Rand's", "was the first ... to (be) Rand's"),
    ],
)
def test_leftovers_of_markup_go(line: str, prose: str) -> None:
    assert clean(line) == prose


def test_the_articles_are_all_there() -> None:
    documents = list(open_source("embedded:wikipedia").documents())
    paragraphs = [paragraph for document in documents for paragraph in document.paragraphs if len(paragraph) > 300]
    assert len(documents) == len({document.id for document in documents}) == 106
    assert len(paragraphs) == pytest.approx(3609, rel=0.005)
    assert sum(len(paragraph.split()) for paragraph in paragraphs) == pytest.approx(359_141, rel=0.005)
    assert not [p for p in paragraphs if re.search(r"''|\(\s*\)|\[\[|\]\]|\{\{|==|<ref|\s\s|^[*#:;|]", p)]
