"""`llm2comp evaluate-words`: linear heads on the frozen word features of encoders, side by side."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from llm2comp.backbone.attention import Direction
from llm2comp.backbone.loading import Precision
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.encoder import Encoder
from llm2comp.encoder.opening import open_encoder
from llm2comp.errors import UserError, unknown
from llm2comp.evaluation.fairness import fairness
from llm2comp.evaluation.words.evaluation import WordEvaluation
from llm2comp.evaluation.words.features import WordReader
from llm2comp.evaluation.words.reading import ReadingOption
from llm2comp.evaluation.words.result import WordResult
from llm2comp.evaluation.words.tasks import TASKS, load_dataset
from llm2comp.reporting.tables.terminal import print_table
from llm2comp.reporting.tables.words import word_table


def main(arguments: list[str]) -> None:
    """Print accuracy and F1 of every encoder on every task; each result is also written to the output folder."""
    options = _parser().parse_args(arguments[1:])
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # every head would say what it runs on
    tasks, output = _tasks(options.tasks), Path(options.output)
    datasets = {name: load_dataset(name, options.limit) for name in {TASKS[task].dataset for task in tasks}}
    evaluations = [WordEvaluation(task, datasets[TASKS[task].dataset], output) for task in tasks]
    rows, configs = [], {}
    for name in options.encoder:
        results, configs[name] = _evaluate(name, evaluations, options)
        rows.append(results)
    print_table(word_table(rows, fairness(configs)))
    print(f"Results are in {output}")


def _tasks(names: str) -> list[str]:
    for name in (tasks := names.split(",")):
        if name not in TASKS:
            raise unknown("task", name, TASKS)
    return tasks


def _evaluate(
    name: str, evaluations: Sequence[WordEvaluation], options: Namespace
) -> tuple[list[WordResult], EncoderConfig]:
    # The encoder is gone when this returns, and makes room for the next.
    encoder = _open(name, options.direction, options.max_length, options.dtype)
    reader = WordReader(encoder, options.reading)
    return [evaluation.evaluate(reader, options.seeds) for evaluation in evaluations], encoder.config


def _open(name: str, direction: Direction | None, max_length: int | None, dtype: Precision) -> Encoder:
    """The encoder behind `[causal:|bidirectional:]NAME`; raises UserError for one that has no states of tokens."""
    prefix, _, rest = name.partition(":")
    for own in get_args(Direction):
        if prefix == own:
            name, direction = rest, own
    encoder = open_encoder(name, dtype=dtype, max_length=max_length, direction=direction)
    if not isinstance(encoder, Encoder):
        raise UserError(
            f"{name} gives one vector for a text, and word-level tasks need the states of its tokens; "
            "name an encoder folder or a language model"
        )
    return encoder


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="llm2comp evaluate-words",
        description="Chunking, named entities and parts of speech from the frozen states of words, by a linear head.",
    )
    parser.add_argument(
        "--encoder",
        type=str,
        action="append",
        required=True,
        help="An encoder folder or a language model; causal: or bidirectional: before it sets its attention. "
        "Give the option again for each encoder to compare.",
    )
    parser.add_argument("--tasks", type=str, default=",".join(TASKS), help="Which tasks, with commas between them.")
    parser.add_argument(
        "--direction", type=Direction | None, default=None, help="Attention of encoders whose name does not say."
    )
    parser.add_argument(
        "--reading",
        type=ReadingOption,
        default="auto",
        help="The states of a word: at its sub-words (same) or one position before (previous); auto: previous after "
        "MNTP, also with contrastive training on top of it, else same.",
    )
    parser.add_argument("--seeds", type=PositiveInt, default=1, help="Heads a task: mean and standard deviation.")
    parser.add_argument("--limit", type=PositiveInt | None, default=None, help="Sentences of each split, the first.")
    parser.add_argument("--output", type=str, default="lightning_logs/words", help="Folder of the results.")
    parser.add_argument("--max_length", type=PositiveInt | None, default=None, help="Tokens read of a sentence.")
    parser.add_argument("--dtype", type=Precision, default="auto", help="Type of the weights.")
    return parser
