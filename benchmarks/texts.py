"""The texts that are encoded: short, long, and a corpus of mixed lengths."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.workbench import Workbench
from llm2comp.data.mirror import mirror_folder
from llm2comp.data.sources.registry import open_source

LONG = 2500  # characters that are about as many tokens as an encoder reads


def encoding_texts(bench: Workbench) -> dict[str, list[str]]:
    """SciFact's claims ("short"), documents ("mixed") and its longest documents ("long"), a sample of each.

    SciFact is read from the mirror under LLM2COMP_DATA; without one, paragraphs of the embedded text stand in for its
    documents, and their first words for its claims.
    """
    folder = mirror_folder("mteb/scifact")
    if bench.quick or folder is None:
        documents = list(paragraphs(bench.text))
        short = [" ".join(document.split()[:12]) for document in documents]
    else:
        documents = [f"{row['title']} {row['text']}" for row in _rows(folder / "corpus.jsonl")]
        short = [row["text"] for row in _rows(folder / "queries.jsonl")]
    by_length = sorted(documents, key=len)
    long = [document for document in by_length if len(document) > LONG] or by_length[-20:]
    drawn = random.Random(0)
    return {
        "mixed": drawn.sample(documents, bench.choose(40, 12)),
        "short": drawn.sample(short, bench.choose(128, 12)),
        "long": drawn.sample(long, bench.choose(12, 4)),
    }


def paragraphs(source: str) -> Iterator[str]:
    """The paragraphs of a source of training text."""
    return (paragraph for document in open_source(source).documents() for paragraph in document.paragraphs)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)
