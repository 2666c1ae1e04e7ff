"""The layouts that rows of pairs are written in, recognised by their keys."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from llm2comp.data.pairs.pair import Pair
from llm2comp.errors import UserError
from llm2comp.prompts import Instruction


class Layout(NamedTuple):
    """A row is a query with positives and perhaps negatives, under these keys; a title goes before the positive."""

    query: str
    positive: str
    negative: str | None = None
    title: str | None = None

    @property
    def spelling(self) -> str:
        return ", ".join([self.query, self.positive, *(f"[{key}]" for key in (self.negative, self.title) if key)])


class LabelledLayout(NamedTuple):
    """A row is two sentences and, under one of the `labels`, how they stand to each other."""

    sentence1: str
    sentence2: str
    labels: tuple[str, ...]

    @property
    def spelling(self) -> str:
        return f"{self.sentence1}, {self.sentence2}, {' or '.join(self.labels)}"


LAYOUTS = (
    Layout("query", "positive", "negative"),
    Layout("query", "pos", "neg"),
    Layout("anchor", "positive", "negative"),
    Layout("question", "passage", title="title"),
    Layout("question", "context"),
)
LABELLED_LAYOUTS = (
    LabelledLayout("sentence1", "sentence2", ("label", "score")),
    LabelledLayout("premise", "hypothesis", ("label",)),
)
# What a data set says of its own instruction, as the public E5 mixture does.
_PROMPT, _TYPE = "prompt", "type"
COLUMNS = frozenset(
    key
    for layout in (*LAYOUTS, *LABELLED_LAYOUTS)
    for part in layout
    for key in (part if isinstance(part, tuple) else (part,))
    if key is not None
) | {_PROMPT, _TYPE}


def layout_of(columns: Mapping[str, Any]) -> Layout | LabelledLayout | None:
    """The layout of a row, None where it has none of those known."""
    for layout in LAYOUTS:
        if layout.query in columns and layout.positive in columns:
            return layout
    for labelled in LABELLED_LAYOUTS:
        if {labelled.sentence1, labelled.sentence2} <= columns.keys() and any(k in columns for k in labelled.labels):
            return labelled
    return None


def unknown_layout(columns: Mapping[str, Any], where: str) -> UserError:
    """The error for a row in none of the layouts."""
    known = "; ".join(layout.spelling for layout in (*LAYOUTS, *LABELLED_LAYOUTS))
    return UserError(
        f"{where}: a row with the keys {', '.join(map(repr, columns)) or '(none)'} is in no known layout of pairs; "
        f"the layouts are: {known}"
    )


def read_pair(columns: Mapping[str, Any], layout: Layout, where: str) -> Pair:
    """The pair of a row. Raises UserError, naming `where`, for what is not a string or a list of strings."""
    query, instruction = _query(columns, layout, where)
    positives = _texts(columns, layout.positive, where)
    if layout.title and columns.get(layout.title):
        (title,) = _texts(columns, layout.title, where)
        positives = [f"{title} {positive}" for positive in positives]
    negatives = _texts(columns, layout.negative, where) if layout.negative and layout.negative in columns else []
    return Pair(query, positives, negatives, query.strip(), instruction)


def _query(columns: Mapping[str, Any], layout: Layout, where: str) -> tuple[str, Instruction | None]:
    """The query and the row's own instruction: under the key `prompt`, or before the query as [instruction, query]."""
    prompt, symmetric = columns.get(_PROMPT), str(columns.get(_TYPE)).startswith("symmetric")
    texts = _texts(columns, layout.query, where)
    if len(texts) == 2:
        prompt, texts = texts[0], texts[1:]
    if len(texts) != 1 or not isinstance(prompt, str | None):
        raise UserError(
            f"{where}: {layout.query!r} is a string or [instruction, query] and {_PROMPT!r} a string; "
            f"they are {columns[layout.query]!r} and {prompt!r}"
        )
    return texts[0], Instruction(prompt, symmetric) if prompt else None


def _texts(columns: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = columns[key]
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str):
            raise UserError(f"{where}: {key!r} is a string or a list of strings, but holds {text!r}")
    return texts
