"""The pairs to train on and the held-out pairs."""

import numpy as np
from transformers import PreTrainedTokenizerBase

from llm2comp.data.evaluation_texts import refuse_evaluation_only
from llm2comp.data.guard import EvaluationGuard
from llm2comp.data.held_out import held_out_documents, sample
from llm2comp.data.pairs.cache import pair_corpus
from llm2comp.data.pairs.mixture import PairMixture
from llm2comp.data.pairs.mixture_plan import MIN_PAIRS
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.pairs.writing import TokenLimits
from llm2comp.data.settings import DataSettings
from llm2comp.data.splits import Splits, Subset
from llm2comp.errors import UserError


def make_pair_splits(settings: DataSettings, tokenizer: PreTrainedTokenizerBase, limits: TokenLimits) -> Splits:
    """Read (or take from the cache) what the settings name and hold out pairs by query, or the validation source.

    No query is on both sides, not even of different data sets, and no training pair has a text of an evaluation set
    unless the guard is off. Raises UserError where a data set has fewer than `MIN_PAIRS` pairs left to train on.
    """
    sets = sets_of(settings.train, settings.max_examples)
    for one in sets:
        refuse_evaluation_only(one.source)
    mixture = read_sets(sets, tokenizer, limits, settings.min_characters)
    guard = EvaluationGuard(settings.guard)
    notices, usable = guard.notices(), []
    for one, corpus in zip(sets, mixture.corpora, strict=True):
        found = guard.evaluated_pairs(corpus, one.source)
        usable.append(~found.pairs)
        if found.pairs.any():
            notices.append(f"{one.source}: left out {found.describe()}")
    if settings.validation is not None:
        held_out = read_sets(sets_of(settings.validation, None), tokenizer, limits, settings.min_characters)
        validation = validation_pairs(held_out, [np.ones(len(corpus), bool) for corpus in held_out.corpora])
    else:
        masks = [held_out_documents(corpus, settings.validation_fraction) for corpus in mixture.corpora]
        validation = validation_pairs(mixture, [mask & use for mask, use in zip(masks, usable, strict=True)])
        usable = [use & ~mask for use, mask in zip(usable, masks, strict=True)]
    if validation is not None:
        corpus_of = validation.corpus
        assert isinstance(corpus_of, PairMixture)
        queries = corpus_of.query_hashes[validation.examples]
        usable = [
            use & ~np.isin(corpus.query_hashes, queries) for use, corpus in zip(usable, mixture.corpora, strict=True)
        ]
    examples = [_train_examples(mixture, number, use) for number, use in enumerate(usable)]
    train = Subset(mixture, np.concatenate(examples))
    return Splits(train, validation, _describe(mixture, examples, settings, validation), notices)


def sets_of(named: str | list[PairSet], max_examples: int | None) -> list[PairSet]:
    """The data sets that a setting names."""
    return [PairSet(named, max_examples=max_examples)] if isinstance(named, str) else named


def read_sets(
    sets: list[PairSet], tokenizer: PreTrainedTokenizerBase, limits: TokenLimits, min_characters: int
) -> PairMixture:
    return PairMixture(sets, [pair_corpus(one, tokenizer, limits, min_characters) for one in sets])


def validation_pairs(mixture: PairMixture, masks: list[np.ndarray]) -> Subset | None:
    """The pairs of the masks; a data set of which fewer than two are held out is left out."""
    parts = [mixture.examples(number, mask) for number, mask in enumerate(masks) if mask.sum() >= MIN_PAIRS]
    return Subset(mixture, np.concatenate(parts)) if parts else None


def _train_examples(mixture: PairMixture, number: int, usable: np.ndarray) -> np.ndarray:
    one, corpus = mixture.sets[number], mixture.corpora[number]
    indices = np.flatnonzero(usable)
    if one.max_examples is not None:
        indices = sample(corpus, indices, one.max_examples)
    if len(indices) < MIN_PAIRS:
        raise UserError(
            f"{one.source} has {len(indices)} of {len(corpus):,} pairs left to train on, and a batch needs "
            f"{MIN_PAIRS}; the others are held out or stand in an evaluation set; leave this data set out"
        )
    mask = np.zeros(len(corpus), bool)
    mask[indices] = True
    return mixture.examples(number, mask)


def _describe(
    mixture: PairMixture, examples: list[np.ndarray], settings: DataSettings, validation: Subset | None
) -> str:
    lines = []
    for one, corpus, some in zip(mixture.sets, mixture.corpora, examples, strict=True):
        report = corpus.report
        assert settings.batch_size is not None
        left_over = len(some) % settings.batch_size if len(some) > settings.batch_size else 0
        size = "one smaller batch" if len(some) < settings.batch_size else f"{left_over:,} left over in an epoch"
        lines.append(
            f"{one.source}: {report.pairs:,} pairs of {report.rows_read:,} rows (dropped: {report.drops()}; texts cut: "
            f"{report.texts_cut:,} of {report.texts:,}); training: {len(some):,} pairs, {size}"
        )
    return "\n".join([*lines, f"validation: {validation.describe() if validation is not None else 'none'}"])
