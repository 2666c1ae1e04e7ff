"""Pairs that are trained on while they are read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from llm2comp.data.batch_dataset import BatchIndex
from llm2comp.data.cache import temporary
from llm2comp.data.evaluation_texts import refuse_evaluation_only
from llm2comp.data.guard import EvaluationGuard
from llm2comp.data.hashing import hash_text
from llm2comp.data.pairs.cache import pair_corpus_of
from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.pairs.mixture_plan import MIN_PAIRS
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.data.pairs.splits import read_sets, sets_of, validation_pairs
from llm2comp.data.pairs.writing import TokenLimits, write_pairs
from llm2comp.data.settings import DataSettings
from llm2comp.data.sources.document import Source
from llm2comp.data.sources.registry import open_source
from llm2comp.data.splits import Splits, Subset
from llm2comp.data.streaming.held_out import HeldOutPairs, marked
from llm2comp.data.streaming.streamed import Streamed, StreamedSource


class StreamedPairs(Streamed):
    """The pairs of a source that are neither held out nor in an evaluation set, and batches of them.

    All batches have `batch_size` pairs; those left over at the end of an epoch wait for the next. Equal pairs are
    found in one file only, and sentences are gathered by their first in one file.
    """

    def __init__(self, streamed: StreamedSource, data: Any, limits: TokenLimits) -> None:
        """`data`: the PairData that makes the batches."""
        self.streamed, self.source, self.data, self.limits = streamed, streamed.source, data, limits
        (self.pair_set,) = sets_of(data.settings.train, None)
        self.guard = EvaluationGuard(data.settings.guard)
        self.guard.read()  # once, before there are worker processes

    def items(self, part: Source) -> Iterator[Pair]:
        settings = self.data.settings
        pairs = PairSource(self.streamed.name, settings.min_characters, self.pair_set.min_score, part)
        for pair, held_out in marked(pairs.pairs(PairReport()), _group, self.streamed.held_out_fraction):
            if not held_out and hash_text(pair.query) not in self.streamed.held_out_hashes:
                yield pair

    def keeps(self, item: Pair) -> bool:
        """Raises UserError for a pair of an evaluation set where the guard refuses it."""
        return not self.guard.is_evaluated([item.query, *item.positives, *item.negatives], self.streamed.name)

    def batches(self, items: list[Pair], epoch: int) -> list[Any]:
        whole = len(items) // self.data.batch_size * self.data.batch_size
        if whole < MIN_PAIRS:
            return []

        def write(folder: Path) -> dict[str, Any]:
            report = PairReport(pairs=whole)
            asked = self.pair_set.instruction
            write_pairs(items[:whole], asked, self.data.tokenizer, self.limits, report, folder, show_progress=False)
            return report.to_json()

        with temporary(write) as folder:
            mixture = PairMixture([self.pair_set], [PairCorpus(folder)])
            everything = Subset(mixture, np.arange(whole))
            dataset, plan = self.data.batches(everything, training=True, rank=0, world_size=1)
            return [dataset[BatchIndex(epoch, examples)] for examples in plan.batches(epoch)]

    def too_few(self, processes: int) -> str:
        return (
            f"of {self.streamed.name} there are not as many pairs to train on as processes, {processes}: use fewer "
            "processes or more data"
        )

    def no_batch(self) -> str:
        return (
            f"{self.streamed.name} ends before there is one batch: a process needs {self.data.batch_size} pairs that "
            "are neither held out nor in an evaluation set; lower batch_size or use fewer processes"
        )


def stream_pair_splits(settings: DataSettings, tokenizer: PreTrainedTokenizerBase, limits: TokenLimits) -> Splits:
    """The pairs to stream, of which none is read, and the pairs to validate on, tokenised.

    No query is on both sides. Raises UserError for a source that cannot be read.
    """
    (one,) = sets_of(settings.train, None)
    refuse_evaluation_only(one.source)
    source, fraction = open_source(one.source), 0.0
    mixture = None
    if settings.validation is not None:
        mixture = read_sets(sets_of(settings.validation, None), tokenizer, limits, settings.min_characters)
    elif settings.validation_fraction:
        fraction = settings.validation_fraction
        pairs = HeldOutPairs(PairSource(one.source, settings.min_characters, one.min_score), fraction)
        mixture = PairMixture([one], [pair_corpus_of(pairs, one, tokenizer, limits)])
    hashes = frozenset() if mixture is None else frozenset(mixture.query_hashes.tolist())
    validation = None
    if mixture is not None:
        validation = validation_pairs(mixture, [np.ones(len(corpus), bool) for corpus in mixture.corpora])
    train = StreamedSource(one.source, source, fraction, hashes)
    held_out = validation.describe() if validation is not None else "none"
    return Splits(
        train,
        validation,
        f"training: {train.describe()}; validation: {held_out}",
        EvaluationGuard(settings.guard).notices(),
    )


def _group(pair: Pair) -> str:
    return pair.group
