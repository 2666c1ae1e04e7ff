"""metrics.csv: a row a step, a column a metric."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from llm2comp.errors import UserError

Row = dict[str, str]


def read_metrics(path: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Each metric's (step, value) pairs in the order they were logged; a line cut off in mid-write is left out.

    Raises:
        UserError: there is no such file.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    for row in _read_rows(Path(path)):
        step = int(row.pop("step"))
        for name, value in row.items():
            series.setdefault(name, []).append((step, float(value)))
    return series


class MetricsFile:
    """Writes metrics.csv; each write is on the disk when it returns, and an existing file is continued.

    A row is appended, so that a run of many steps does not write its history anew with each; only a new column
    rewrites the file, into a new one that then takes its place.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: list[str] = []
        self._last: Row = {}
        self._last_offset = 0  # bytes
        self._rewrite(_read_rows(path) if path.exists() else [])

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add `metrics` to the row of `step` where that is the last and has none of them yet, else in a new row."""
        row = {"step": str(step)} | {name: f"{value:.9g}" for name, value in metrics.items()}
        if not set(row) <= set(self._columns):
            self._rewrite(_read_rows(self._path), row)
        # Every row carries the epoch.
        continues = self._last.get("step") == row["step"] and not metrics.keys() - {"epoch"} & self._last.keys()
        offset = self._last_offset if continues else self._path.stat().st_size
        self._last = self._last | row if continues else row
        self._last_offset = offset
        try:
            with self._path.open("r+b") as file:
                file.seek(offset)
                file.write(self._line(self._last))
                file.truncate()
        except OSError as error:
            raise self._error(error) from error

    def drop_from(self, step: int) -> None:
        """Remove the rows of `step` and later ones."""
        self._rewrite([row for row in _read_rows(self._path) if int(row["step"]) < step])

    def _rewrite(self, rows: list[Row], coming: Row | None = None) -> None:
        names = dict.fromkeys(name for row in [*rows, coming or {}] for name in row)
        self._columns = list(dict.fromkeys(["step", "epoch", *names]))
        lines = [self._line(dict(zip(self._columns, self._columns, strict=True))), *map(self._line, rows)]
        self._last = rows[-1] if rows else {}
        self._last_offset = sum(map(len, lines[:-1]))
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(b"".join(lines))
            os.replace(temporary, self._path)
        except OSError as error:
            raise self._error(error) from error

    def _line(self, row: Row) -> bytes:
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(row)
        return text.getvalue().encode()

    def _error(self, error: OSError) -> UserError:
        return UserError(f"could not write {self._path}: {error.strerror}. Make room or permit writing there")


def _read_rows(path: Path) -> list[Row]:
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise UserError(f"there are no metrics in {path.parent}: it has no {path.name}") from error
    whole = text[: text.rfind("\n") + 1]
    return [{name: value for name, value in row.items() if value} for row in csv.DictReader(io.StringIO(whole))]
