"""Sentences end where they end, and nothing is lost."""

import pytest

from llm2comp.data.sources.embedded_sentences import EmbeddedSentences
from llm2comp.data.sources.registry import open_source
from llm2comp.data.sources.sentences import split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["One ends here.", "Two ends here!", "Does three?", "Four"],
        ["Dr. Smith met Mrs. Jones of St. Ives.", "They left."],
        ["J. S. Bach wrote it in 1720.", "1721 was another year."],
        ["The U.S. Army came.", "It left the U.S.", "The end."],
        ["Apples, pears, etc. Smith sold.", "He bought apples, etc.", "They were good."],
        ['"Why?" he asked.', '"Because."', "(So it was.)", "It was so."],
        ["It costs 3.5 dollars, e.g. in No. 5 and fig. 3.", "That is much."],
        ["It has version 2.0.", "Next came 3.0."],
        ["wait... what. no capital here. so it goes on."],
        [],
    ],
)
def test_sentences_are_found(sentences: list[str]) -> None:
    assert split_sentences("  ".join(sentences)) == sentences


def test_a_run_of_spaces_at_the_ends_is_no_sentence() -> None:
    assert split_sentences("  One here. Two here.  ") == ["One here.", "Two here."]


def test_embedded_sentences_have_6_to_64_words_and_their_article() -> None:
    source = open_source("embedded:wikipedia-sentences")
    assert isinstance(source, EmbeddedSentences)
    documents = list(source.documents())
    lengths = [len(sentence.split()) for document in documents for sentence in document.paragraphs]
    assert min(lengths) == 6
    assert max(lengths) == 64
    assert len(lengths) > 15_000
    assert len({document.id for document in documents}) == len(documents) > 100
