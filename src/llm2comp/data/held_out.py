"""Which examples are held out, and which are sampled."""

import numpy as np

from llm2comp.data.corpus import Corpus
from llm2comp.data.hashing import hash_text, uniform
from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.sources.registry import open_source
from llm2comp.errors import UserError

# One choice for every seed, so that runs are judged on the same text. With this one, the few embedded articles come out
# near the fraction asked for.
_SALT = 3


def held_out_documents(corpus: Corpus | PairCorpus, fraction: float) -> np.ndarray:
    """[N] bool: the examples of about `fraction` of the documents, whole documents always.

    Whether a document is held out hangs on its id alone, so it stays so when documents are added; where chance would
    hold out none, one is. Raises UserError where nothing would be left to train on.
    """
    if not fraction:
        return np.zeros(len(corpus), bool)
    mask = _drawn(corpus.document_hashes, fraction)
    if mask.all():
        documents = len(np.unique(corpus.document_hashes))
        raise UserError(
            f"validation_fraction={fraction} holds out all of {documents} documents, which leaves nothing to train on; "
            "name a separate `validation` source or set validation_fraction to 0"
        )
    return mask


def sample(corpus: Corpus | PairCorpus, examples: np.ndarray, size: int) -> np.ndarray:
    """`size` of the examples, in order; the same for every seed, and a smaller sample is part of a larger one."""
    return np.sort(examples[np.argsort(uniform(corpus.text_hashes[examples], _SALT), kind="stable")[:size]])


def held_out_texts(source: str, fraction: float, count: int, min_words: int) -> list[str]:
    """At most `count` different paragraphs of the documents that training on `source` holds out, in random order.

    The same at every call; all documents serve where `fraction` is 1. Raises UserError for a source that cannot be
    read.
    """
    documents = list(open_source(source).documents())
    if not documents:
        return []
    mask = _drawn(np.array([hash_text(document.id) for document in documents], np.uint64), fraction)
    paragraphs = {
        paragraph: None
        for document, held_out in zip(documents, mask, strict=True)
        if held_out
        for paragraph in document.paragraphs
        if len(paragraph.split()) >= min_words
    }
    texts = list(paragraphs)
    numbers = draws(np.array([hash_text(text) for text in texts], np.uint64))
    return [texts[i] for i in np.argsort(numbers, kind="stable")[:count]]


def draws(document_hashes: np.ndarray) -> np.ndarray:
    """[N] in [0, 1): a document is held out where its number is under the fraction."""
    return uniform(document_hashes, _SALT)


def _drawn(document_hashes: np.ndarray, fraction: float) -> np.ndarray:
    numbers = draws(document_hashes)
    return (numbers < fraction) | (numbers == numbers.min())
