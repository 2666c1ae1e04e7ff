"""Sources of several files, and the streams of them that each of some processes reads."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm2comp.data.datamodule import DataModule
from llm2comp.data.streaming.made_buffers import MadeBuffers, unpack
from llm2comp.data.streaming.stream import Place, Stream
from tests.data.runs import Recorder, rows, trainer

WORDS = ["fox", "dog", "text", "memory", "token", "frozen", "decoder", "brown", "lazy", "encoder"]
OPTIONS = {"streaming": True, "min_characters": 1, "max_tokens": 100, "token_budget": 256, "buffer_size": 7}


def paragraph(name: str, i: int) -> str:
    """A paragraph of 20 to 100 tokens, unlike any other."""
    return f"{name}{i:03d} " + " ".join(WORDS[(i * k + len(name)) % 10] for k in range(20 + (7 * i) % 17))


def write_file(path: Path, paragraphs: list[str]) -> Path:
    """A file of the kind that its name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": pa.array(paragraphs, pa.string())}), path, row_group_size=4)
        return path
    lines = [json.dumps({"text": text}) if ".jsonl" in path.name else text for text in paragraphs]
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_folder(folder: Path, sizes: dict[str, int]) -> list[str]:
    """A folder of files of the sizes; returns all paragraphs."""
    folder.mkdir(parents=True)
    everything = []
    for name, size in sizes.items():
        paragraphs = [paragraph(name[0], i) for i in range(size)]
        write_file(folder / name, paragraphs)
        everything += paragraphs
    return everything


def data_module(source: Path, rank: int = 0, world_size: int = 1, model: Any = None, **options: Any) -> DataModule:
    """The data as the process sees it, set up."""
    data = DataModule(str(source), **{"validation_fraction": 0.0, **OPTIONS, **options})
    data.trainer = trainer(source.parent, max_steps=1000)
    data.trainer.strategy.connect(model or Recorder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataModule, "_process", (rank, world_size))
        data.prepare_data()
        data.setup("fit")
    return data


def stream(source: Path, rank: int = 0, world_size: int = 1, **options: Any) -> Stream:
    data = data_module(source, rank, world_size, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataModule, "_process", (rank, world_size))
        return data._stream(data._loaded.train)


def epochs(one: Stream, num_workers: int, count: int = 1) -> list[list[list[str]]]:
    """The texts of the batches of each epoch."""
    seen: list[list[list[str]]] = [[] for _ in range(count)]
    for buffer in MadeBuffers(one, Place()).loader(num_workers):
        if isinstance(buffer, Exception):
            raise buffer
        if buffer.place.epoch == count:
            return seen
        seen[buffer.place.epoch] += [["".join(row) for row in rows(unpack(batch))] for batch in buffer.batches]
    raise AssertionError("a stream has no end")
