"""A tokenised corpus on disk."""

import json
from pathlib import Path

from llm2comp.data.filters import FilterReport
from llm2comp.data.token_store import TokenStore


class Corpus(TokenStore):
    """The paragraphs of a source, memory-mapped; an example is the index of a paragraph.

    Beside what `TokenStore` reads, the folder holds `document_hashes.npy` and `report.json`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.report = FilterReport.from_json(json.loads((folder / "report.json").read_text())["report"])
        self.document_hashes = self.load("document_hashes")  # [N] uint64
