"""Paragraphs that are trained on while they are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from llm2comp.data.batch_dataset import BatchIndex
from llm2comp.data.cache import corpus_of, temporary, tokenized_corpus
from llm2comp.data.corpus import Corpus
from llm2comp.data.evaluation_texts import refuse_evaluation_only
from llm2comp.data.filters import FilterReport, Filters
from llm2comp.data.hashing import hash_text
from llm2comp.data.settings import DataSettings
from llm2comp.data.sources.document import Document, Source
from llm2comp.data.sources.registry import open_source
from llm2comp.data.splits import Splits, Subset, one_source
from llm2comp.data.streaming.held_out import HeldOutDocuments, marked
from llm2comp.data.streaming.streamed import Streamed, StreamedSource
from llm2comp.data.tokenization import write_corpus


class StreamedText(Streamed):
    """The paragraphs of a source that are long enough and not held out, and batches of them.

    A buffer is tokenised as a small corpus of its own, so what holds of whole corpora holds of it; of equal
    paragraphs, only those in one buffer are found.
    """

    def __init__(self, streamed: StreamedSource, data: Any, filters: Filters) -> None:
        """`data`: the TextData that makes the batches."""
        self.streamed, self.source, self.data, self.filters = streamed, streamed.source, data, filters

    def items(self, part: Source) -> Iterator[Document]:
        """Documents of one paragraph each."""
        held_out_hashes = self.streamed.held_out_hashes
        for document, held_out in marked(part.documents(), _id, self.streamed.held_out_fraction):
            for paragraph in [] if held_out else document.paragraphs:
                if len(paragraph) < self.filters.min_characters:
                    continue
                if not held_out_hashes or hash_text(paragraph) not in held_out_hashes:
                    yield Document(document.id, [paragraph])

    def batches(self, items: list[Document], epoch: int) -> list[Any]:
        report = FilterReport(self.filters)

        def write(folder: Path) -> dict[str, Any]:
            write_corpus(items, self.data.tokenizer, report, folder, show_progress=False)
            return report.to_json()

        with temporary(write) as folder:
            if not report.paragraphs:
                return []
            corpus = Corpus(folder)
            everything = Subset(corpus, np.arange(len(corpus)))
            dataset, plan = self.data.batches(everything, training=True, rank=0, world_size=1)
            return [dataset[BatchIndex(epoch, examples)] for examples in plan.batches(epoch)]

    def too_few(self, processes: int) -> str:
        return (
            f"of {self.streamed.name} there are not as many paragraphs of at least {self.filters.min_characters:,} "
            f"characters to train on as processes, {processes}: lower min_characters, use fewer processes or more data"
        )

    def no_batch(self) -> str:
        limits = f"{self.filters.min_tokens:,} to {self.filters.max_tokens:,} tokens"
        return (
            f"{self.streamed.name} ends before there is one batch: no paragraph of a process's share has {limits}; "
            "change max_tokens, or name another source"
        )


def stream_splits(settings: DataSettings, tokenizer: PreTrainedTokenizerBase, filters: Filters) -> Splits:
    """The text to stream, of which nothing is read, and the text to validate on, tokenised.

    No training paragraph stands in the validation text. Raises UserError for a source that cannot be read.
    """
    name = one_source(settings)
    refuse_evaluation_only(name)
    source, fraction = open_source(name), 0.0
    corpus = None
    if isinstance(settings.validation, str):
        corpus = tokenized_corpus(settings.validation, tokenizer, filters)
    elif settings.validation_fraction:
        fraction = settings.validation_fraction
        documents = HeldOutDocuments(name, source, fraction, filters.min_characters)
        corpus = corpus_of(documents, name, tokenizer, filters)
    hashes = frozenset() if corpus is None else frozenset(corpus.text_hashes.tolist())
    validation = None if corpus is None else Subset(corpus, np.arange(len(corpus)))
    train = StreamedSource(name, source, fraction, hashes)
    held_out = validation.describe() if validation is not None else "none"
    return Splits(train, validation, f"training: {train.describe()}; validation: {held_out}")


def _id(document: Document) -> str:
    return document.id
