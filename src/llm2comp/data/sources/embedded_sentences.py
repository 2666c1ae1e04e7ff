"""The sentences of the Wikipedia articles inside the package gensim."""

from collections.abc import Iterator
from typing import Any

from llm2comp.data.sources.document import Document
from llm2comp.data.sources.sentences import split_sentences
from llm2comp.data.sources.wikipedia import EmbeddedWikipedia

MIN_WORDS, MAX_WORDS = 6, 64


class EmbeddedSentences:
    """The sentences of 6 to 64 words of `EmbeddedWikipedia`; a document holds those of an article."""

    def __init__(self) -> None:
        self.articles = EmbeddedWikipedia()

    def fingerprint(self) -> dict[str, Any]:
        return {**self.articles.fingerprint(), "words": [MIN_WORDS, MAX_WORDS]}

    def parts(self) -> list["EmbeddedSentences"]:
        return [self]

    def documents(self) -> Iterator[Document]:
        for article in self.articles.documents():
            sentences = [sentence for paragraph in article.paragraphs for sentence in split_sentences(paragraph)]
            yield Document(article.id, [s for s in sentences if MIN_WORDS <= len(s.split()) <= MAX_WORDS])
