"""The MTEB scores of an ablation's settings: each task, and the means of the categories against what is varied."""

import html
from collections.abc import Sequence

import plotly.graph_objects as go

from llm2comp.reporting.dashboard.axis import axis_kind
from llm2comp.reporting.dashboard.data_table import Cell, Column, DataTable
from llm2comp.reporting.dashboard.figure import Figure
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.dashboard.style import Style, styles
from llm2comp.reporting.tables.scores import Scored, score_table
from llm2comp.reporting.tables.table import Row, Table
from llm2comp.reporting.tables.task_names import by_category


def scored(settings: Sequence[Setting]) -> Table:
    """A row a setting, with the mean over its runs; a task that one of them lacks is a gap, and so are its means."""
    rows = [Scored(each.label, [run.results.scores for run in each.runs if run.results]) for each in settings]
    tasks = dict.fromkeys(task for row in rows for scores in row.runs for task in scores)
    return score_table("MTEB main scores", rows, by_category(tasks, str))


def scores_table(table: Table) -> DataTable:
    """All tasks, and the means of categories and over all; no rows where nothing was scored."""
    # A task of no category of the papers is one of its own.
    headings = [(each.short, each.category if each.category != each.name else "") for each in table.columns]
    columns = [Column("setting", is_number=False), *(Column(*heading) for heading in headings)]
    caption = "MTEB main scores (%), mean ± standard deviation over seeds, the best mean bold"
    rows = [
        [Cell(row.name), *(Cell(cell.text, cell.value, tone="best" if cell.is_best else "") for cell in row.cells)]
        for row in table.rows
    ]
    return DataTable(caption, columns, rows if table.columns else [])


def categories_figure(table: Table, settings: Sequence[Setting], parameters: Sequence[str]) -> Figure | None:
    """A line a category, through the means of the settings; None where nothing was scored."""
    shown = {_series(table, indices): indices[-1] for _, indices in table.categories}
    if not any(cell.value is not None for row in table.rows for cell in row.cells):
        return None
    values = [setting.values[0] if len(parameters) == 1 else setting.label for setting in settings]
    kind = axis_kind(values)
    places = [float(i if kind == "category" else value) for i, value in enumerate(values)]
    ordered = sorted(zip(places, table.rows, strict=True), key=lambda pair: pair[0])
    legend = dict(zip(shown, styles(list(shown)), strict=True))
    mode = "markers" if kind == "category" else "lines+markers"  # between names there is nothing to pass
    traces = [_trace(name, ordered, column, legend[name], mode) for name, column in shown.items()]
    title = f"MTEB scores (%) of each category by {', '.join(parameters)}"
    said = [
        f"{row.name}: " + ", ".join(f"{name} {row.cells[i].text}" for name, i in shown.items()) for _, row in ordered
    ]
    x_axis = {
        "title": {"text": html.escape(", ".join(parameters))},
        "type": "log" if kind == "log" else "linear",
        "tickvals": places,
        "ticktext": [html.escape(setting.label) for setting in settings],
    }
    y_axis = {"title": {"text": "score (%)", "standoff": 12}}
    return Figure.of(title, f"Plot of {title}. {'; '.join(said)}.", traces, x_axis, y_axis, legend)


def _series(table: Table, indices: Sequence[int]) -> str:
    """What a category is called by its last column, which is its mean, or else its only task."""
    column = table.columns[indices[-1]]
    return column.category if column.is_mean or column.category == column.name else f"{column.category}: {column.short}"


def _trace(name: str, ordered: Sequence[tuple[float, Row]], column: int, style: Style, mode: str) -> go.Scatter:
    points = [(x, row, cell) for x, row in ordered if (cell := row.cells[column]).value is not None]
    return go.Scatter(
        x=[x for x, _, _ in points],
        y=[cell.value for _, _, cell in points],
        error_y={"array": [cell.deviation for _, _, cell in points], "color": style.colour},
        mode=mode,
        line={"color": style.colour, "dash": style.dash, "width": 2},
        marker={"color": style.colour, "symbol": style.symbol, "size": 9},
        text=[f"{html.escape(row.label)}<br>{html.escape(name)}: <b>{cell.text}</b>" for _, row, cell in points],
        hoverinfo="text",
    )
