"""A part of a data set of the Hugging Face hub, read over the network."""

from collections.abc import Collection, Iterator
from typing import Any

from llm2comp.data.sources.document import Document
from llm2comp.data.sources.readers import Record
from llm2comp.data.sources.rows import group_rows, row
from llm2comp.errors import UserError

_ROWS_AT_ONCE = 1000


class HubShard:
    """The rows of a `datasets.IterableDataset`; `name` says in errors which."""

    def __init__(self, name: str, dataset: Any) -> None:
        self.name, self.dataset = name, dataset

    def fingerprint(self) -> dict[str, Any]:
        return {"hub": self.name}

    def documents(self) -> Iterator[Document]:
        return group_rows(row(record, where) for where, record in self.records(()))

    def parts(self) -> list["HubShard"]:
        return [self]

    def records(self, columns: Collection[str]) -> Iterator[Record]:
        """All rows with all their columns."""
        number = 0
        try:
            # `iter` with a size: without one, each worker process of a DataLoader would be given other shards.
            for batch in self.dataset.iter(_ROWS_AT_ONCE):
                for values in zip(*batch.values(), strict=True):
                    number += 1
                    yield Record(f"{self.name}, row {number}", dict(zip(batch, values, strict=True)))
        except OSError as error:
            raise UserError(f"{self.name}, after row {number}: the hub cannot be read ({error})") from error
