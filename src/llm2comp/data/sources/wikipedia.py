"""The Wikipedia articles inside the package gensim."""

import bz2
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from llm2comp.data.sources.document import Document

_DUMP = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
_MARKUP_LINE_STARTS = tuple("*#:;|!{=")  # lists, indents, tables, headings
# What is left of templates, links and emphasis once gensim has removed them, in this order.
_LEFTOVERS = [
    (re.compile(r"'{2,}"), ""),
    (re.compile(r"\s+"), " "),
    (re.compile(r" ?\([\s,;]*\)"), ""),
    (re.compile(r"\([\s,;]+"), "("),
    (re.compile(r"[\s,;]+\)"), ")"),
    (re.compile(r" +([,.;:](?:\s|$))"), r"\1"),
    (re.compile(r",(?: ?,)+"), ","),
]


class EmbeddedWikipedia:
    """105 whole articles of the English Wikipedia, without lists, tables and headings."""

    def fingerprint(self) -> dict[str, Any]:
        return {"gensim": version("gensim")}

    def parts(self) -> list["EmbeddedWikipedia"]:
        return [self]

    def documents(self) -> Iterator[Document]:
        # gensim takes over a second to import, so it waits until its text is wanted.
        from gensim.corpora.wikicorpus import IGNORED_NAMESPACES, extract_pages, filter_wiki
        from gensim.test.utils import datapath

        ignored = tuple(f"{namespace}:" for namespace in IGNORED_NAMESPACES)
        with bz2.open(datapath(_DUMP)) as dump:
            for title, markup, _ in extract_pages(dump, filter_namespaces=("0",)):
                if title.startswith(ignored) or not markup:
                    continue
                lines = [clean(line) for line in filter_wiki(markup).splitlines() if not _is_markup(line)]
                if paragraphs := [line for line in lines if line]:
                    yield Document(title, paragraphs)


def clean(line: str) -> str:
    """A line of prose without emphasis marks, emptied parentheses and doubled spaces."""
    for pattern, replacement in _LEFTOVERS:
        line = pattern.sub(replacement, line)
    return line.strip()


def _is_markup(line: str) -> bool:
    return line.lstrip().startswith(_MARKUP_LINE_STARTS)
