"""Data sets of the Hugging Face hub at a pinned revision, or their copies in a local mirror."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from llm2comp.data.mirror import MIRROR, data_folder, split_files
from llm2comp.data.sources.document import Document, Source
from llm2comp.data.sources.files import Files
from llm2comp.data.sources.hub_shard import HubShard
from llm2comp.data.sources.readers import ENDINGS, Record
from llm2comp.data.sources.rows import group_rows, row
from llm2comp.errors import UserError

SPELLING = "hub:org/name@revision:config/split"
_NAME = re.compile(
    r"hub:(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?::(?:(?P<config>[\w.-]+)/)?(?P<split>\w+))?"
)


class HubDataset:
    """`hub:org/name@revision:config/split` with columns `text` or `paragraphs`, `id` or `title`.

    The revision is a full commit hash; `config/` may be left out, and with it `:split`, which is then `train`.
    Where LLM2COMP_DATA names a folder, the data set is read from `mirror/org/name` or `org/name` below it, and from
    nowhere else; there, files are `split*` in the folder, in `data/` or in `config/`.
    """

    def __init__(self, name: str) -> None:
        """Raises UserError for another spelling and for a data set that the mirror does not have."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise UserError(f"cannot read the hub source {name!r}; it is spelt {SPELLING}")
        if not re.fullmatch(r"[0-9a-f]{40}", match["revision"] or ""):
            raise UserError(
                f"the hub source {name!r} names no pinned revision; write the full commit hash, as in {SPELLING}"
            )
        self.name = name
        self.repository: str = match["repository"]
        self.revision: str = match["revision"]
        self.config: str | None = match["config"]
        self.split: str = match["split"] or "train"
        self.mirror = self._mirrored(data) if (data := data_folder()) else None

    def fingerprint(self) -> dict[str, Any]:
        if self.mirror is not None:
            return self.mirror.fingerprint()
        return {"hub": self.repository, "revision": self.revision, "config": self.config, "split": self.split}

    def documents(self) -> Iterator[Document]:
        if self.mirror is not None:
            return self.mirror.documents()
        return group_rows(row(record, where) for where, record in self.records(()))

    def records(self, columns: Collection[str]) -> Iterator[Record]:
        """The rows with at least those of the columns that they have."""
        if self.mirror is not None:
            yield from self.mirror.records(columns)
            return
        for number, record in enumerate(self._load(), start=1):
            yield Record(f"{self.name}, row {number}", record)

    def parts(self) -> Sequence[Source]:
        """The data set's shards, which are read over the network as they are wanted."""
        if self.mirror is not None:
            return self.mirror.parts()
        dataset = self._load(streaming=True)
        count = dataset.num_shards
        return [HubShard(f"{self.name}, shard {i} of {count}", dataset.shard(count, i)) for i in range(count)]

    def _mirrored(self, data: Path) -> Files:
        folders = [data / MIRROR / self.repository, data / self.repository]
        folder = next((folder for folder in folders if folder.is_dir()), None)
        if folder is None:
            raise UserError(
                f"{self.name} is not in {folders[0]} nor in {folders[1]}; where there is a network, run: hf download "
                f"{self.repository} --repo-type dataset --revision {self.revision} --local-dir {folders[0]}"
            )
        if paths := split_files(folder, self.split, self.config):
            return Files(paths)
        raise UserError(f"{folder} holds no file {self.split}.* or {self.split}-* that ends in {', '.join(ENDINGS)}")

    def _load(self, streaming: bool = False) -> Any:
        import datasets

        try:
            return datasets.load_dataset(
                self.repository, self.config, split=self.split, revision=self.revision, streaming=streaming
            )
        except (OSError, datasets.exceptions.DatasetsError) as error:
            raise UserError(
                f"{self.name} cannot be had from the hub ({_first_line(error)}). Without a connection, use a local "
                "file or folder instead, set LLM2COMP_DATA to a folder that holds a copy, or set HF_HUB_OFFLINE=1 and "
                "HF_HOME to a cache it was once loaded into; HF_HUB_OFFLINE=1 forbids the network"
            ) from error
        except ValueError as error:
            raise UserError(f"{self.name} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
