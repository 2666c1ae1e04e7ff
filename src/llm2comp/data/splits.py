"""The training text and the held-out text."""

from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from llm2comp.data.cache import tokenized_corpus
from llm2comp.data.corpus import Corpus
from llm2comp.data.filters import Filters
from llm2comp.data.held_out import held_out_documents, sample
from llm2comp.data.settings import DataSettings
from llm2comp.errors import UserError


@dataclass(frozen=True)
class Subset:
    """Some examples of a corpus, [N] indices in ascending order."""

    corpus: Corpus
    examples: np.ndarray

    def describe(self) -> str:
        """How much text it is."""
        documents = len(np.unique(self.corpus.document_hashes[self.examples]))
        return (
            f"{len(self.examples):,} paragraphs of {documents:,} documents, "
            f"{self.corpus.lengths[self.examples].sum():,} tokens"
        )


@dataclass(frozen=True)
class Splits:
    """Text to train on and, unless none is asked for, text held out from it."""

    train: Subset
    validation: Subset | None

    def describe(self, settings: DataSettings) -> str:
        """One line of what was read, dropped and held out."""
        report = self.train.corpus.report
        held_out = self.validation.describe() if self.validation is not None else "none"
        source = f" from {settings.validation}" if settings.validation else ""
        return (
            f"{settings.train}: {report.paragraphs:,} of {report.paragraphs_read:,} paragraphs kept "
            f"(dropped: {report.drops()}); training: {self.train.describe()}; validation{source}: {held_out}"
        )


def make_splits(settings: DataSettings, tokenizer: PreTrainedTokenizerBase, filters: Filters) -> Splits:
    """Read (or take from the cache) what the settings name and hold out whole documents, or the validation source.

    No training paragraph stands in the validation source. Raises UserError where nothing is left to train on.
    """
    corpus = tokenized_corpus(settings.train, tokenizer, filters)
    validation: Subset | None
    if settings.validation is not None:
        held_out = tokenized_corpus(settings.validation, tokenizer, filters)
        validation = Subset(held_out, np.arange(len(held_out)))
        mask = np.isin(corpus.text_hashes, held_out.text_hashes)
        if mask.all():
            raise UserError(f"every paragraph of {settings.train} also stands in {settings.validation}")
    else:
        mask = held_out_documents(corpus, settings.validation_fraction)
        validation = Subset(corpus, np.flatnonzero(mask)) if mask.any() else None
    examples = np.flatnonzero(~mask)
    if settings.max_examples is not None:
        examples = sample(corpus, examples, settings.max_examples)
    return Splits(Subset(corpus, examples), validation)
