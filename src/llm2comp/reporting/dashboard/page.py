"""The page: all that is found below a folder of runs, as one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from tqdm import tqdm

from llm2comp.errors import UserError
from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.ablation_view import AblationView
from llm2comp.reporting.dashboard.overviews import ablations_table, other_runs_table
from llm2comp.reporting.dashboard.run import Run, runs_in
from llm2comp.reporting.scrub import scrub
from llm2comp.sweeps.sweep import SWEEPS, Sweep

_PACKAGE = "llm2comp.reporting.dashboard"
_FOLDER = "page"
_PREFIX = "ablation_"


@dataclass(frozen=True)
class Page:
    """The HTML, and what of it to tell: the ablations, the number of `other_runs`, and what could not be read."""

    html: str
    ablations: Sequence[AblationView]
    num_other_runs: int
    problems: Sequence[str]


def render(root: Path, path: Path) -> Page:
    """The page of the runs below `root`, which is to lie at `path`.

    An ablation's sweep is the copy among its runs, else the file of its name in experiments/sweeps. Where
    there is none, its runs are shown with those outside of ablations.
    """
    views: list[AblationView] = []
    others: list[Run] = []
    problems: list[str] = []
    folders = sorted(folder for folder in root.glob("*/") if folder.is_dir())
    for folder in tqdm(folders, "reading runs", delay=2, leave=False):
        if folder.name.startswith(_PREFIX):
            try:
                views.append(AblationView.of(AblationResults.load(root, _sweep(folder)), path))
                continue
            except UserError as error:
                problems.append(f"{folder.name} is not shown as an ablation: {scrub(str(error))}")
        others += runs_in(root, folder.name)
    return Page(_html(root, path, views, others, problems), views, len(others), problems)


def _sweep(folder: Path) -> Sweep:
    own = folder / "sweep.yaml"
    return Sweep.load(own if own.is_file() else SWEEPS / f"{folder.name.removeprefix(_PREFIX)}.yaml")


def _html(root: Path, path: Path, views: Sequence[AblationView], others: Sequence[Run], problems: Sequence[str]) -> str:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, _FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    # A number that is not finite would be no JSON, and the plot would not be drawn.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return environment.get_template("dashboard.html").render(
        title="Ablations",
        subtitle=_subtitle(root, views, others),
        root=scrub(str(root)),
        problems=problems,
        ablations=views,
        overview=ablations_table(views),
        other_runs=other_runs_table(others, path),
        style=_own("dashboard.css"),
        script=_own("dashboard.js"),
        plotly=Markup(get_plotlyjs()),
    )


def _own(name: str) -> Markup:
    return Markup((files(_PACKAGE) / _FOLDER / name).read_text(encoding="utf-8"))


def _subtitle(root: Path, views: Sequence[AblationView], others: Sequence[Run]) -> str:
    runs = [run for view in views for run in view.ablation.runs]
    finished = sum(run.state == "finished" for run in runs)
    return (
        f"{scrub(str(root))}: {count(len(views), 'ablation')} with {finished} of {count(len(runs), 'run')} finished, "
        f"{count(len(others), 'other run')}. Rendered {datetime.now():%Y-%m-%d %H:%M} by llm2comp "
        f"{version('llm2comp')}."
    )


def count(number: int, what: str) -> str:
    """So many of it, as `3 runs`."""
    return f"{number} {what}" + ("" if number == 1 else "s")
