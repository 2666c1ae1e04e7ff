"""Tokenised corpora, each made once."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from llm2comp.cache import cache_folder
from llm2comp.data.corpus import Corpus
from llm2comp.data.filters import FilterReport, Filters
from llm2comp.data.sources.document import Source
from llm2comp.data.sources.registry import open_source
from llm2comp.data.tokenization import write_corpus
from llm2comp.errors import UserError

# Raise it when reading, cleaning or tokenising changes what comes out.
CODE_VERSION = 1


def tokenized_corpus(name: str, tokenizer: PreTrainedTokenizerBase, filters: Filters) -> Corpus:
    """The corpus of a source, made now or taken from the cache.

    It is kept under source, tokenizer, filters and code version, which `report.json` repeats. Processes that make
    the same corpus at once do not disturb each other: each writes a folder of its own, and the first to finish is
    kept. Raises UserError for a source that cannot be read or of which the filters leave nothing.
    """
    return corpus_of(open_source(name), name, tokenizer, filters)


def corpus_of(source: Source, name: str, tokenizer: PreTrainedTokenizerBase, filters: Filters) -> Corpus:
    """The corpus of an open source, called `name`; see `tokenized_corpus`."""
    key = {
        "code_version": CODE_VERSION,
        "source": {"name": name, **source.fingerprint()},
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "filters": asdict(filters),
    }

    def write(folder: Path) -> dict[str, Any]:
        report = FilterReport(filters)
        write_corpus(source.documents(), tokenizer, report, folder)
        if not report.paragraphs:
            raise UserError(
                f"no text is left of {name}: of {report.paragraphs_read:,} paragraphs were dropped "
                f"{report.drops()}; change min_characters or max_tokens, or name another source"
            )
        return report.to_json()

    return Corpus(cached("corpora", key, write))


def cached(kind: str, key: dict[str, Any], write: Callable[[Path], dict[str, Any]]) -> Path:
    """The folder kept under a key; made now, if it is not there, by `write`, which returns what it reports."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    folder = cache_folder() / kind / digest
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{digest}.", dir=folder.parent, ignore_cleanup_errors=True) as made:
            _write(Path(made), key, write)
            _keep(Path(made), folder)
    return folder


@contextmanager
def temporary(write: Callable[[Path], dict[str, Any]]) -> Iterator[Path]:
    """A folder as `cached` makes it, which is gone after use."""
    with tempfile.TemporaryDirectory(prefix="llm2comp.", ignore_cleanup_errors=True) as made:
        _write(Path(made), {}, write)
        yield Path(made)


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of all that decides the tokens of a text, wherever the tokenizer was loaded from."""
    if tokenizer.is_fast:
        definition: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
        # Calls with truncation or padding leave them behind in the tokenizer; they do not touch the calls made here.
        definition.update(truncation=None, padding=None)
    else:
        definition = {"vocabulary": tokenizer.get_vocab(), "class": type(tokenizer).__name__}
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()


def _write(made: Path, key: dict[str, Any], write: Callable[[Path], dict[str, Any]]) -> None:
    report = {"key": key, "report": write(made)}
    (made / "report.json").write_text(json.dumps(report, indent=1))


def _keep(made: Path, folder: Path) -> None:
    made.chmod(0o755)  # temporary folders are private, a cache may be shared
    try:
        os.rename(made, folder)
    except OSError:
        if not folder.is_dir():
            raise
