"""`llm2comp analyze`: how the embeddings and memory states of encoders lie in space."""

import sys
from collections.abc import Container, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from jsonargparse.typing import ClosedUnitInterval, PositiveInt
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llm2comp.backbone.loading import Precision
from llm2comp.cli.checkpoints import checkpoints
from llm2comp.cli.geometry_files import MEASURES, write_geometry
from llm2comp.data.held_out import held_out_texts
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.opening import open_encoder
from llm2comp.encoder.text_encoder import TextEncoder
from llm2comp.errors import UserError
from llm2comp.evaluation.fairness import fairness, recorded
from llm2comp.evaluation.geometry import Geometry, measure_geometry

# A half of a text of six words has three.
MIN_WORDS = 6


def main(arguments: list[str]) -> None:
    """Print the encoders' geometry beside each other and, with an output folder, write it there with figures."""
    options = _parser().parse_args(arguments[1:])
    if not options.encoder and not options.checkpoints:
        raise UserError("name what to analyze: --encoder A --encoder B, or --checkpoints RUN_FOLDER")
    texts = held_out_texts(options.texts, options.held_out, options.count, MIN_WORDS)
    encoders: dict[str, Geometry] = {}
    configs: dict[str, EncoderConfig | None] = {}
    for given in options.encoder or []:
        name, spec = _named(given)
        encoder = open_encoder(spec, dtype=options.dtype)
        name = _unused(name or encoder.name, encoders, f"--encoder NAME={spec}")
        encoders[name] = _measure(name, encoder, texts)
        configs[name] = recorded(encoder)
    runs: dict[str, dict[int, Geometry]] = {}
    for given in options.checkpoints or []:
        name, folder = _named(given)
        name = _unused(name or Path(folder).resolve().name, runs, f"--checkpoints NAME={folder}")
        runs[name] = {
            step: _measure(f"{name}, step {step}", encoder, texts) for step, encoder in checkpoints(Path(folder))
        }
    results = [*encoders.values(), *(geometry for steps in runs.values() for geometry in steps.values())]
    console = Console()
    console.print(_table(results, options.texts))
    for note in [*fairness(configs), *_notes(results)]:
        console.print(Text(note))
    if options.output:
        for path in write_geometry(encoders, runs, options.texts, Path(options.output).expanduser()):
            console.print(Text(f"Written: {path}"), soft_wrap=True)


def _named(given: str) -> tuple[str, str]:
    """The name, or nothing, and the rest of what is written as `[NAME=]SPEC`."""
    name, equals, spec = given.partition("=")
    return ("", given) if not equals or Path(given).expanduser().exists() else (name, spec)


def _unused(name: str, used: Container[str], example: str) -> str:
    if name in used:
        raise UserError(f"two are called {name!r}; give them names: {example}")
    return name


def _measure(name: str, encoder: TextEncoder, texts: Sequence[str]) -> Geometry:
    print(f"Measuring {name}", file=sys.stderr)
    return measure_geometry(name, encoder, texts)


def _table(results: Sequence[Geometry], source: str) -> Table:
    title = f"Geometry of the embeddings of {results[0].num_texts:,} texts of {source}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=0, show_edge=False)
    table.add_column("", overflow="fold")
    for heading, _ in MEASURES.values():
        # In lines, so that in 80 columns only long names are broken.
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for result in results:
        values = [(getattr(result, measure), form) for measure, (_, form) in MEASURES.items()]
        table.add_row(Text(result.name), *("-" if value is None else format(value, form) for value, form in values))
    return table


def _notes(results: Sequence[Geometry]) -> list[str]:
    names = ", ".join(result.name for result in results if result.num_texts <= result.hidden_size)
    if not names:
        return []
    return [
        f"Few texts for the dimensions bound the effective rank, participation ratio and IsoScore of {names}; "
        "give more, with --texts and --count, to compare encoders of different widths."
    ]


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="llm2comp analyze",
        description="The geometry of encoders: how evenly their embeddings use the space, and how alike the states of "
        "their memory tokens are.",
    )
    parser.add_argument(
        "--encoder",
        type=str,
        action="append",
        help="An encoder to analyze, as SPEC or NAME=SPEC. Give the option again for each.",
    )
    parser.add_argument(
        "--checkpoints",
        type=str,
        action="append",
        help="A training run, as FOLDER or NAME=FOLDER, to analyze before training and at each checkpoint that it has "
        "kept (--keep_checkpoints of llm2comp fit). Give the option again for each.",
    )
    parser.add_argument(
        "--texts", type=str, default="embedded:wikipedia-sentences", help="The source of the texts, as for training."
    )
    parser.add_argument(
        "--held_out",
        type=ClosedUnitInterval,
        default=0.1,
        help="Texts of the documents that training with this validation_fraction holds out; 1 for all.",
    )
    parser.add_argument("--count", type=PositiveInt, default=2000, help="How many texts, at most.")
    parser.add_argument("--output", type=str | None, default=None, help="Folder for geometry.json and figures.")
    parser.add_argument("--dtype", type=Precision, default="auto", help="Type of the weights.")
    return parser
