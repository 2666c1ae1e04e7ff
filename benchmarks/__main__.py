"""`python -m benchmarks [NAME ...]`: measure, write benchmarks/results/*.json and docs/results/speed.md."""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

NAMES = ("encoding", "precision", "compression", "contrastive", "mntp", "startup", "growth")
ROOT = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; by default all")
    parser.add_argument("--model", default="embedded:smollm2-135m", help="what to train and to encode with")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant is timed")
    parser.add_argument("--quick", action="store_true", help="rehearse on a tiny random model; nothing is kept")
    parser.add_argument("--page", action="store_true", help="only make the page anew from the results there are")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    names: Sequence[str] = [] if options.page else options.names or NAMES
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            measure(names, Path(folder), Path(folder, "speed.md"), quick=True)
        return
    measure(
        names, ROOT / "benchmarks" / "results", ROOT / "docs" / "results" / "speed.md", options.model, options.rounds
    )


def measure(
    names: Sequence[str], results: Path, page: Path, model: str = "", rounds: int = 1, quick: bool = False
) -> None:
    """Run the benchmarks one after another, each result written as it is there, and make the page from all results."""
    # Imported here: `--help` does not need torch.
    from transformers.utils import logging

    from benchmarks.machine import machine_facts
    from benchmarks.page import write_page
    from benchmarks.workbench import full_bench, quick_bench

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        bench = quick_bench(Path(folder)) if quick else full_bench(model, rounds)
        for name in names:
            print(f"== {name}", flush=True)
            machine = machine_facts()
            result = import_module(f"benchmarks.{name}").run(bench)
            dataclasses.replace(result, machine=machine).save(results)
            for each in result.comparisons:
                print(f"{each.what}: {each.ratio.median:.2f} ({each.ratio.lowest:.2f} to {each.ratio.highest:.2f})")
    write_page(results, page)


if __name__ == "__main__":
    main()
