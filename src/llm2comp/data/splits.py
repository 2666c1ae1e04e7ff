"""The training text and the held-out text."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from llm2comp.data.cache import tokenized_corpus
from llm2comp.data.corpus import Corpus
from llm2comp.data.evaluation_texts import refuse_evaluation_only
from llm2comp.data.filters import Filters
from llm2comp.data.held_out import held_out_documents, sample
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.settings import DataSettings
from llm2comp.data.streaming.streamed import StreamedSource
from llm2comp.errors import UserError


@dataclass(frozen=True)
class Subset:
    """Some examples of a corpus, [N] indices in ascending order."""

    corpus: Corpus | PairMixture
    examples: np.ndarray

    @property
    def checksum(self) -> int:
        """A number that hangs on which examples these are."""
        return int(np.bitwise_xor.reduce(self.corpus.text_hashes[self.examples]) >> np.uint64(1))

    def identity(self) -> dict[str, int]:
        """What a position among the batches hangs on."""
        return {"examples": len(self.examples), "checksum": self.checksum}

    @property
    def content(self) -> dict[str, Any]:
        """The number of `examples` and a `checksum` of which they are, in hex."""
        return {"examples": len(self.examples), "checksum": f"{self.checksum:016x}"}

    def describe(self) -> str:
        """How much text it is."""
        if isinstance(self.corpus, PairMixture):
            return f"{len(self.examples):,} pairs"
        documents = len(np.unique(self.corpus.document_hashes[self.examples]))
        return (
            f"{len(self.examples):,} paragraphs of {documents:,} documents, "
            f"{self.corpus.lengths[self.examples].sum():,} tokens"
        )


@dataclass(frozen=True)
class Splits:
    """Text to train on, which may yet have to be read, and, unless none is asked for, text held out from it.

    `description` is what was read, dropped and held out; `notices` what the guard did.
    """

    train: Subset | StreamedSource
    validation: Subset | None
    description: str
    notices: list[str] = field(default_factory=list)


def make_splits(settings: DataSettings, tokenizer: PreTrainedTokenizerBase, filters: Filters) -> Splits:
    """Read (or take from the cache) what the settings name and hold out whole documents, or the validation source.

    No training paragraph stands in the validation source. Raises UserError where nothing is left to train on.
    """
    name = one_source(settings)
    refuse_evaluation_only(name)
    corpus = tokenized_corpus(name, tokenizer, filters)
    validation: Subset | None
    if isinstance(settings.validation, str):
        held_out = tokenized_corpus(settings.validation, tokenizer, filters)
        validation = Subset(held_out, np.arange(len(held_out)))
        mask = np.isin(corpus.text_hashes, held_out.text_hashes)
        if mask.all():
            raise UserError(f"every paragraph of {name} also stands in {settings.validation}")
    else:
        mask = held_out_documents(corpus, settings.validation_fraction)
        validation = Subset(corpus, np.flatnonzero(mask)) if mask.any() else None
    examples = np.flatnonzero(~mask)
    if settings.max_examples is not None:
        examples = sample(corpus, examples, settings.max_examples)
    train = Subset(corpus, examples)
    report = corpus.report
    source = f" from {settings.validation}" if settings.validation else ""
    description = (
        f"{name}: {report.paragraphs:,} of {report.paragraphs_read:,} paragraphs kept "
        f"(dropped: {report.drops()}); training: {train.describe()}; "
        f"validation{source}: {validation.describe() if validation is not None else 'none'}"
    )
    return Splits(train, validation, description)


def one_source(settings: DataSettings) -> str:
    """The source that is trained on. Raises UserError where a list of data sets is given."""
    if not isinstance(settings.train, str) or not isinstance(settings.validation, str | None):
        raise UserError("this objective reads one source of text; only contrastive training takes a list of data sets")
    return settings.train
