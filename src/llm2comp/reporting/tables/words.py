"""The results of encoders on word-level tasks as a table."""

from collections.abc import Sequence

from llm2comp.evaluation.words.result import WordResult
from llm2comp.evaluation.words.scores import Spread
from llm2comp.reporting.tables.scores import mark_best
from llm2comp.reporting.tables.table import Cell, Column, Row, Table


def word_table(encoders: Sequence[Sequence[WordResult]], notes: Sequence[str] = ()) -> Table:
    """Accuracy of words, and F1 of spans where the task has them, with the deviation over heads.

    Args:
        encoders: the results of each encoder, on the same tasks in the same order.
        notes: lines to read under the table, before what the results themselves call for.
    """
    rows = [Row(_name(results[0]), "", 1, tuple(_cells(results))) for results in encoders]
    title = "Word-level tasks: linear heads on frozen states, percent"
    return Table(title, tuple(_columns(encoders[0])), tuple(mark_best(rows)), (*_notes(encoders), *notes))


def _columns(results: Sequence[WordResult]) -> list[Column]:
    columns = []
    for result in results:
        columns.append(Column(f"{result.task} accuracy", "accuracy", result.task))
        if result.f1:
            columns.append(Column(f"{result.task} F1", "F1", result.task))
    return columns


def _cells(results: Sequence[WordResult]) -> list[Cell]:
    spreads: list[Spread | None] = [spread for result in results for spread in (result.accuracy, result.f1)]
    return [Cell(spread.mean, spread.std) for spread in spreads if spread]


def _name(result: WordResult) -> str:
    """The encoder with its attention, and with where its words are read unless that is where they stand."""
    name = result.encoder.removeprefix(f"{result.direction}:")
    return f"{name}, {result.direction}" + (", one position earlier" if result.reading == "previous" else "")


def _notes(encoders: Sequence[Sequence[WordResult]]) -> list[str]:
    notes = []
    if limit := encoders[0][0].limit:
        notes.append(f"On the first {limit:,} sentences of each split only; published figures are on all of them.")
    for result in (result for results in encoders for result in results):
        if unread := sum(result.unread.values()):
            notes.append(f"{result.encoder} did not read {unread:,} words of {result.task}; raise --max_length.")
    return notes
