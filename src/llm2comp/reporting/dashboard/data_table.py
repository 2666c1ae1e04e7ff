"""A table of the page: what stands in its cells, and by what its rows are sorted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm2comp.reporting.tables.table import GAP


@dataclass(frozen=True)
class Cell:
    """A text; `key`, by which a column is sorted, is the text where it is None and there is one.

    `href`: where the text links to. `tone`: `best`, `good`, `bad` or `warning`, which the text must say too.
    """

    text: str = GAP
    key: float | str | None = None
    href: str | None = None
    tone: str = ""

    @property
    def sort_key(self) -> float | str | None:
        if isinstance(self.key, float) and not math.isfinite(self.key):
            return None
        return self.text if self.key is None and self.text != GAP else self.key


@dataclass(frozen=True)
class Column:
    """A heading, with a smaller line below it; numbers stand to the right."""

    name: str
    below: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class DataTable:
    """Rows of cells, of which the first `num_headers` name the row."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    num_headers: int = 1
    is_sortable: bool = True

    def without_gaps(self) -> "DataTable":
        """The table without the columns that have nothing in any row."""
        kept = [i for i in range(len(self.columns)) if any(row[i].text != GAP for row in self.rows)]
        rows = [[row[i] for i in kept] for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in kept], rows=rows)
