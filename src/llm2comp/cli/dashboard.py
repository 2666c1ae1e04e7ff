"""`llm2comp dashboard`: every ablation as a page to look at, and in W&B."""

import os
from pathlib import Path

from jsonargparse import ArgumentParser

from llm2comp.errors import UserError
from llm2comp.reporting.dashboard.page import count, render
from llm2comp.reporting.wandb_dashboards.saving import save_dashboards


def main(arguments: list[str]) -> None:
    """Write the page and say what it shows."""
    options = _parser().parse_args(arguments[1:])
    root = Path(options.root)
    output = Path(options.output) if options.output else root / "dashboard.html"
    if output.suffix != ".html":
        raise UserError(f"--output {output} must end in .html")
    page = render(root, output)
    _write(output, page.html)
    for view in page.ablations:
        print(f"{view.name}: {view.verdict.headline}")
    for problem in page.problems:
        print(problem)
    print(
        f"\nThe page is {output} ({count(len(page.ablations), 'ablation')}, {count(page.num_other_runs, 'other run')})"
    )
    if options.wandb is not None:
        addresses = save_dashboards(options.wandb, [view.ablation.sweep for view in page.ablations])
        print("\n".join(["Saved in W&B:", *addresses]))


def _write(path: Path, text: str) -> None:
    """Whole or not at all: a browser may be about to read the one that is there."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"could not write {path}: {error.strerror}. Make room or permit writing there") from error


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="llm2comp dashboard",
        description="Render every ablation below a folder of runs into one HTML file: its question, the verdict, the "
        "table over seeds, the plot, the curves, and how the configurations differ. It needs no network and no server.",
    )
    parser.add_argument("--root", type=str, default="lightning_logs", help="Folder of all experiments.")
    parser.add_argument(
        "--output", type=str | None, default=None, help="The file to write; by default ROOT/dashboard.html."
    )
    parser.add_argument(
        "--wandb",
        type=str | None,
        default=None,
        metavar="ENTITY/PROJECT",
        help="Also save a workspace of this project in W&B and a report of each ablation; needs an account.",
    )
    return parser
