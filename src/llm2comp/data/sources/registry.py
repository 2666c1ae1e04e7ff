"""A source by its name."""

from collections.abc import Callable
from pathlib import Path

from llm2comp.data.sources.document import Source
from llm2comp.data.sources.embedded_sentences import EmbeddedSentences
from llm2comp.data.sources.files import Files
from llm2comp.data.sources.hub import SPELLING, HubDataset
from llm2comp.data.sources.wikipedia import EmbeddedWikipedia
from llm2comp.errors import UserError, unknown

EMBEDDED: dict[str, Callable[[], Source]] = {
    "embedded:wikipedia": EmbeddedWikipedia,
    "embedded:wikipedia-sentences": EmbeddedSentences,
}


def open_source(name: str) -> Source:
    """The source of an embedded corpus, a hub data set (`hub:org/name@revision:config/split`), a file or a folder.

    Raises UserError for a name that is none of these.
    """
    if name in EMBEDDED:
        return EMBEDDED[name]()
    if name.startswith("hub:"):
        return HubDataset(name)
    path = Path(name).expanduser()
    if path.exists():
        return Files.at(path)
    if ":" in name:
        raise unknown("source", name, [*EMBEDDED, SPELLING])
    beside = sorted(str(p) for p in path.parent.iterdir()) if path.parent.is_dir() else []
    hint = unknown("file or folder of text", str(path), beside)
    raise UserError(f"{hint}; besides files, a source is {' or '.join([*EMBEDDED, SPELLING])}")
