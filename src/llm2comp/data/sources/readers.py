"""Rows of local files, by the file's ending."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from llm2comp.data.sources.rows import Row, row
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


def _read_text(path: Path) -> Iterator[Row]:
    for _, line in _lines(path):
        yield Row([line])


def _read_jsonl(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON ({error.msg} at column {error.colno})") from error
        if not isinstance(record, dict):
            raise UserError(f"{where}: not a JSON object but a {type(record).__name__}")
        yield row(record, where)


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name in ("id", "title", "text", "paragraphs")]
            records = chain.from_iterable(batch.to_pylist() for batch in file.iter_batches(columns=columns))
            for number, record in enumerate(records, start=1):
                yield row(record, f"{path}, row {number}")
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: not a parquet file ({error})") from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".txt": _read_text,
    ".raw": _read_text,
    ".txt.gz": _read_text,
    ".raw.gz": _read_text,
    ".jsonl": _read_jsonl,
    ".jsonl.gz": _read_jsonl,
    ".parquet": _read_parquet,
}
ENDINGS = tuple(_READERS)


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file whose name ends in one of ENDINGS.

    Raises UserError with file and line for bytes that are not UTF-8 and rows that are malformed.
    """
    ending = next(ending for ending in ENDINGS if path.name.lower().endswith(ending))
    return _READERS[ending](path)
