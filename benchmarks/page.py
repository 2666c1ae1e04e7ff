"""The page of results, made anew from the JSON files of the benchmarks."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.figures import draw_curves, draw_ratios
from benchmarks.results import Comparison, Result

HEAD = """# Speed and memory

`make benchmark` measures what follows in one run on one machine and writes this page. Contestants take turns, so that
what slows the machine for a while slows them all; a ratio is the median over the rounds, between the least and the
greatest. What was tried to get there, and what holds back a figure that falls short, is in
[benchmarks/NOTES.md](../../benchmarks/NOTES.md).
"""


def write_page(results: Path, page: Path) -> None:
    """Write the page, and its figures beside it, from all `*.json` in the folder of results."""
    found = [Result.load(path) for path in sorted(results.glob("*.json"))]
    page.parent.mkdir(parents=True, exist_ok=True)
    sections = [HEAD, _machines(found), _figure(page, "ratios", "Ratios and their targets")]
    draw_ratios(found, page.with_name(f"{page.stem}_ratios.svg"))
    for result in found:
        sections.append(_section(result))
        if result.curves:
            draw_curves(result.curves, page.with_name(f"{page.stem}_{result.name}.svg"))
            sections.append(_figure(page, result.name, f"Curves of {result.name}"))
    page.write_text("\n".join(sections), encoding="utf-8")


def _section(result: Result) -> str:
    text = import_module(f"benchmarks.{result.name}").__doc__ or ""
    title, _, description = text.strip().partition("\n")
    parts = [f"## {title.rstrip('.')}", description.strip()]
    if result.comparisons:
        parts.append(_comparisons(result.comparisons))
    if result.seconds:
        parts.append(_seconds(result))
    if result.numbers:
        parts.append(_table(["", ""], [[name, f"{value:,.4g}"] for name, value in result.numbers.items()]))
    return "\n\n".join(parts) + "\n"


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for each in comparisons:
        spread = f"{each.ratio.lowest:.2f} to {each.ratio.highest:.2f}"
        sign = "at most" if each.at_most else "at least"
        target = "" if each.target is None else f"{sign} {each.target:g}"
        reached = {True: "yes", False: "**no**", None: ""}[each.reached]
        rows.append([each.what, f"{each.ratio.median:.2f}", spread, target, reached])
    return _table(["ratio", "median", "rounds", "wanted", "reached"], rows)


def _seconds(result: Result) -> str:
    rows = [
        [case, name, ", ".join(f"{value:.3g}" for value in taken)]
        for case, contestants in result.seconds.items()
        for name, taken in contestants.items()
    ]
    return _table(["case", "contestant", "seconds, round by round"], rows)


def _machines(results: Sequence[Result]) -> str:
    """The machine that the figures hold for; several where results of several were put together."""
    lines = []
    for result in results:
        facts = {name: value for name, value in result.machine.items() if name != "load_average"}
        line = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
        if line not in lines:
            lines.append(line)
    return "\n".join(f"Machine: {line}." for line in lines) + "\n"


def _figure(page: Path, name: str, caption: str) -> str:
    return f"![{caption}]({page.stem}_{name}.svg)\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
