"""Rows of local files, by the file's ending."""

import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from llm2comp.data.sources.rows import COLUMNS, Row, row
from llm2comp.errors import UserError

_BYTE_ORDER_MARK = "\ufeff"


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Non-blank lines of a text file (gzip where it ends in .gz), each after `path, line n`."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode().removeprefix(_BYTE_ORDER_MARK if number == 1 else "").strip()
                if text:
                    yield f"{path}, line {number}", text
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {number}: not UTF-8 (byte 0x{error.object[error.start]:02x} at column {error.start + 1}); "
            f"convert the file, for example with iconv -f latin1 -t utf-8"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}, after line {number}: not a whole gzip file ({error})") from error


class Record(NamedTuple):
    """The columns of a row, and where it stands: file and line."""

    where: str
    columns: dict[str, Any]


def _read_text(path: Path, columns: Collection[str]) -> Iterator[Record]:
    for where, line in _lines(path):
        yield Record(where, {"text": line})


def _read_jsonl(path: Path, columns: Collection[str]) -> Iterator[Record]:
    for where, line in _lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
        if not isinstance(record, dict):
            raise UserError(f"{where}: not a JSON object but a {type(record).__name__}")
        yield Record(where, record)


def _read_parquet(path: Path, columns: Collection[str]) -> Iterator[Record]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            # Without any of the columns, all are read, so that the error can name them.
            wanted = [name for name in names if name in columns] or names
            records = chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(columns=wanted))
            for number, record in enumerate(records, start=1):
                yield Record(f"{path}, row {number}", record)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a parquet file ({error})") from error


_READERS: dict[str, Callable[[Path, Collection[str]], Iterator[Record]]] = {
    ".txt": _read_text,
    ".raw": _read_text,
    ".txt.gz": _read_text,
    ".raw.gz": _read_text,
    ".jsonl": _read_jsonl,
    ".jsonl.gz": _read_jsonl,
    ".parquet": _read_parquet,
}
ENDINGS = tuple(_READERS)


def read_records(path: Path, columns: Collection[str]) -> Iterator[Record]:
    """The records of a file whose name ends in one of ENDINGS, with at least those of the columns that it has.

    Raises UserError with file and line for bytes that are not UTF-8 and rows that are malformed.
    """
    return _reader(path)(path, columns)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of text of a file, as `read_records` reads it; a line of a text file is one paragraph."""
    reader = _reader(path)
    for where, record in reader(path, COLUMNS):
        yield Row([record["text"]]) if reader is _read_text else row(record, where)


def _reader(path: Path) -> Callable[[Path, Collection[str]], Iterator[Record]]:
    return next(reader for ending, reader in _READERS.items() if path.name.lower().endswith(ending))
