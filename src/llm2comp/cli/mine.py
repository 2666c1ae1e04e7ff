"""`llm2comp mine`: give pairs the hard negatives that an encoder finds."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser

from llm2comp.backbone.loading import Precision
from llm2comp.data.evaluation_texts import refuse_evaluation_only
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.pairs.source import PairSource
from llm2comp.encoder.loading import load_encoder
from llm2comp.errors import UserError
from llm2comp.evaluation.mining import mine
from llm2comp.prompts import instruction


def main(arguments: list[str]) -> None:
    """Write the pairs with their new negatives, and say how many found how many."""
    options = _parser().parse_args(arguments[1:])
    output = Path(options.output)
    if output.suffix != ".jsonl":
        raise UserError(f"--output {output} must end in .jsonl")
    refuse_evaluation_only(options.data)
    report = PairReport()
    pairs = list(PairSource(options.data, min_characters=1, min_score=options.min_score).pairs(report))
    mined = mine(
        load_encoder(options.encoder, dtype=options.dtype),
        pairs,
        instruction(options.task) if options.task else None,
        options.negatives,
        options.range_min,
        options.range_max,
        options.margin,
        options.max_length,
    )
    write(mined, output)
    some = [len(pair.negatives) for pair in mined]
    print(
        f"{len(pairs):,} pairs of {report.rows_read:,} rows (dropped: {report.drops()}); "
        f"{sum(some) / len(some):.1f} negatives a pair, {some.count(0):,} pairs without: {output}"
    )


def write(pairs: Sequence[Pair], path: Path) -> None:
    """Pairs as lines of `query`, `positive`, `negative`; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            for pair in pairs:
                row = {"query": pair.query, "positive": pair.positives, "negative": pair.negatives}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="llm2comp mine", description="Find hard negatives for pairs among all their texts, with an encoder."
    )
    parser.add_argument("--encoder", type=str, required=True, help="An encoder folder or a language model.")
    parser.add_argument("--data", type=str, required=True, help="Pairs: a file, a folder or hub:org/name@revision.")
    parser.add_argument("--output", type=str, required=True, help="The .jsonl file to write, to train on.")
    parser.add_argument("--task", type=str | None, default=None, help="Whose instruction goes before the texts.")
    parser.add_argument("--negatives", type=int, default=5, help="Hard negatives a pair, at most.")
    parser.add_argument("--range_min", type=int, default=10, help="The nearest texts to pass over: answers, often.")
    parser.add_argument("--range_max", type=int, default=50, help="The rank after which texts are no longer hard.")
    parser.add_argument(
        "--margin", type=float | None, default=0.95, help="Highest cosine of a negative, as a part of the positive's."
    )
    parser.add_argument("--min_score", type=float | None, default=None, help="From where scored pairs are positives.")
    parser.add_argument("--max_length", type=int | None, default=None, help="Tokens read of a text.")
    parser.add_argument("--dtype", type=Precision, default="auto", help="Type of the weights.")
    return parser
