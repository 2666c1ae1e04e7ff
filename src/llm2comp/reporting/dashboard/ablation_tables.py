"""The tables of an ablation: its settings, everything measured of them, its runs, and how their options differ."""

from collections.abc import Sequence
from pathlib import Path

from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.axis import is_number
from llm2comp.reporting.dashboard.data_table import Cell, Column, DataTable
from llm2comp.reporting.dashboard.differences import Difference
from llm2comp.reporting.dashboard.links import link
from llm2comp.reporting.dashboard.measures import SCORE, measure
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.metric_names import Metric
from llm2comp.reporting.numbers import amount, difference_unit, mean_and_deviation, signed, value
from llm2comp.reporting.verdict import Verdict

STATES = {"finished": "", "failed": "bad", "running": "warning", "unfinished": "warning"}


def results_table(ablation: AblationResults, judged: Verdict) -> DataTable:
    """A row a setting: the metric's mean and deviation, how far it is from the best, and what it took."""
    shown = measure(ablation.sweep.metric.name)
    unit = difference_unit(shown)
    arrow = "↑ higher is better" if ablation.sweep.metric.goal == "maximize" else "↓ lower is better"
    columns = [
        *_value_columns(ablation),
        Column("mean", shown.unit),
        Column("deviation", shown.unit),
        Column("seeds"),
        Column("from the best", f"{unit}, 95% interval".lstrip(", ")),
        Column("beyond noise", is_number=False),
        Column("training tokens", "mean"),
        *([Column("steps", "mean")] if _steps_differ(ablation) else []),
    ]
    rows = [_result_cells(setting, ablation, judged, shown) for setting in ablation.settings]
    by = f" by {', '.join(parameter.name for parameter in ablation.parameters)}" if ablation.parameters else ""
    headers = max(1, len(ablation.parameters))
    return DataTable(f"{shown.title}{by}, {arrow}", columns, rows, headers).without_gaps()


def _result_cells(setting: Setting, ablation: AblationResults, judged: Verdict, shown: Metric) -> list[Cell]:
    samples = setting.samples(ablation.sweep.metric.name)
    mean, deviation = mean_and_deviation(samples)
    is_best = setting.label == judged.best
    return [
        *_value_cells(setting),
        Cell() if mean is None else Cell(value(mean, shown), mean, tone="best" if is_best else ""),
        Cell() if deviation is None else Cell(amount(deviation, shown), deviation),
        Cell(str(len(samples)), len(samples)),
        *(_to_best(setting.label, judged, shown) if not is_best else [Cell("best", 0.0), Cell()]),
        _spent(setting, "tokens"),
        *([_spent(setting, "steps")] if _steps_differ(ablation) else []),
    ]


def _to_best(label: str, judged: Verdict, shown: Metric) -> list[Cell]:
    difference = judged.to_best.get(label)
    if difference is None:
        return [Cell(), Cell()]
    text = signed(difference.value, shown)
    if difference.low is not None and difference.high is not None:
        text += f" ({signed(difference.low, shown)} to {signed(difference.high, shown)})"
    is_beyond = difference.exceeds_noise
    return [Cell(text, difference.value), Cell("yes" if is_beyond else "no", tone="bad" if is_beyond else "")]


def _steps_differ(ablation: AblationResults) -> bool:
    return len({_spent(setting, "steps").key for setting in ablation.settings}) > 1


def _spent(setting: Setting, name: str) -> Cell:
    mean, _ = mean_and_deviation([count for run in setting.runs if (count := run.spent(name)) is not None])
    return Cell() if mean is None else Cell(f"{mean:,.0f}", mean)


def measures_table(ablation: AblationResults) -> DataTable:
    """A row a measure, scores of MTEB apart, and a column a setting: mean and deviation, the best mean marked."""
    measured = dict.fromkeys(name for setting in ablation.settings for run in setting.runs for name in run.measured)
    names = [name for name in measured if name != ablation.sweep.metric.name and not name.startswith(SCORE)]
    columns = [Column("measure", is_number=False), *(Column(setting.label) for setting in ablation.settings)]
    rows = [_measure_cells(name, ablation.settings) for name in names]
    return DataTable("Mean ± standard deviation over seeds, the best mean bold", columns, rows, is_sortable=False)


def _measure_cells(name: str, settings: Sequence[Setting]) -> list[Cell]:
    shown = measure(name)
    arrow = {1: " ↑", -1: " ↓", 0: ""}[shown.better]
    stats = [mean_and_deviation(setting.samples(name)) for setting in settings]
    means = [mean * shown.better for mean, _ in stats if mean is not None]
    best = max(means) if shown.better and len(set(means)) > 1 else None
    cells = [Cell(f"{shown.title}{arrow}")]
    for mean, deviation in stats:
        if mean is None:
            cells.append(Cell())
            continue
        spread = "" if deviation is None else f" ± {amount(deviation, shown)}"
        cells.append(Cell(f"{value(mean, shown)}{spread}", tone="best" if mean * shown.better == best else ""))
    return cells


def runs_table(ablation: AblationResults, page: Path) -> DataTable:
    """A row a run, however far it came, with a link to its folder."""
    name = ablation.sweep.metric.name
    shown = measure(name)
    columns = [
        Column("run", is_number=False),
        *(_value_columns(ablation) if ablation.parameters else []),
        Column("seed"),
        Column(shown.label, shown.unit),
        Column("training tokens"),
        Column("steps"),
        Column("state", is_number=False),
    ]
    texts = {run.name: setting for setting in ablation.attempts for run in setting.runs}
    rows = []
    for run in ablation.runs:
        setting = texts.get(run.name)
        values = _value_cells(setting) if setting else [Cell()] * len(ablation.parameters)
        number, tokens = run.measured.get(name), run.spent("tokens")
        rows.append(
            [
                Cell(run.name, href=link(run.folder.path, page)),
                *(values if ablation.parameters else []),
                Cell() if run.seed is None else Cell(str(run.seed), run.seed),
                Cell() if number is None else Cell(value(number, shown), number),
                Cell() if tokens is None else Cell(f"{tokens:,}", tokens),
                Cell(f"{run.steps:,}", run.steps),
                Cell(run.state, tone=STATES[run.state]),
            ]
        )
    return DataTable(f"Runs of {ablation.sweep.name}; a name links to the run's folder", columns, rows)


def differences_table(found: Sequence[Difference]) -> DataTable:
    """A row an option that is not alike in all runs that count."""
    columns = [Column(name, is_number=False) for name in ("option", "varied by", "values")]
    rows = []
    for each in found:
        values = "; ".join(f"{text} ({run_count(runs)})" for text, runs in each.runs.items())
        by = Cell("the sweep") if each.is_swept else Cell("not the sweep", tone="warning")
        rows.append([Cell(each.option), by, Cell(values)])
    return DataTable("Options that are not alike in all runs", columns, rows)


def run_count(names: Sequence[str], named: int = 0) -> str:
    """The names of runs, or, where there are more than `named`, how many they are."""
    if len(names) <= named:
        return ", ".join(names)
    return "1 run" if len(names) == 1 else f"{len(names)} runs"


def _value_columns(ablation: AblationResults) -> list[Column]:
    if not ablation.parameters:
        return [Column("setting", is_number=False)]
    return [
        Column(parameter.name, is_number=all(is_number(setting.values[i]) for setting in ablation.settings))
        for i, parameter in enumerate(ablation.parameters)
    ]


def _value_cells(setting: Setting) -> list[Cell]:
    if not setting.texts:
        return [Cell(setting.label)]
    return [
        Cell(text, raw if is_number(raw) else None) for text, raw in zip(setting.texts, setting.values, strict=True)
    ]
