"""Tokenised pairs, each source made once."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from llm2comp.data.cache import cached, tokenizer_fingerprint
from llm2comp.data.pairs.corpus import PairCorpus
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.data.pairs.writing import TokenLimits, write_pairs
from llm2comp.data.streaming.held_out import HeldOutPairs
from llm2comp.errors import UserError

# Raise it when reading, cleaning or tokenising changes what comes out.
CODE_VERSION = 1


def pair_corpus(
    pair_set: PairSet, tokenizer: PreTrainedTokenizerBase, limits: TokenLimits, min_characters: int
) -> PairCorpus:
    """The pairs of a source, made now or taken from the cache; see `tokenized_corpus`.

    Raises UserError for a source that cannot be read or holds no pair.
    """
    return pair_corpus_of(PairSource(pair_set.source, min_characters, pair_set.min_score), pair_set, tokenizer, limits)


def pair_corpus_of(
    source: PairSource | HeldOutPairs, pair_set: PairSet, tokenizer: PreTrainedTokenizerBase, limits: TokenLimits
) -> PairCorpus:
    """The pairs of an open source; see `pair_corpus`."""
    asked = pair_set.instruction
    key = {
        "code_version": CODE_VERSION,
        "source": source.fingerprint(),
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "limits": asdict(limits),
        "instruction": None if asked is None else [asked.query, asked.document],
    }

    def write(folder: Path) -> dict[str, Any]:
        report = PairReport()
        write_pairs(source.pairs(report), asked, tokenizer, limits, report, folder)
        if not report.pairs:
            raise UserError(
                f"no pair is left of {pair_set.source}: of {report.rows_read:,} rows were dropped {report.drops()}; "
                "change min_characters or min_score, or name another source"
            )
        return report.to_json()

    return PairCorpus(cached("pairs", key, write))
