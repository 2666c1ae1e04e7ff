"""From a source to a tokenised corpus on disk: read, filter, tokenise."""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from llm2comp.data.filters import FilterReport
from llm2comp.data.hashing import hash_text
from llm2comp.data.sources.document import Document
from llm2comp.data.token_store import TOKEN

_TEXTS_AT_ONCE = 1000
_QUIET_SECONDS = 2.0  # progress is shown on what takes longer


def write_corpus(
    documents: Iterable[Document],
    tokenizer: PreTrainedTokenizerBase,
    report: FilterReport,
    folder: Path,
    show_progress: bool = True,
) -> None:
    """Write what `Corpus` reads, but for `report.json`, and count in `report` what is kept and dropped.

    Texts go to the disk before they are tokenised, so no more than a few thousand paragraphs are held at a time and
    the tokenising, which is the slow part, knows how much is left.
    """
    spans, text_hashes, document_hashes = _write_texts(_shown(documents, show_progress), report, folder)
    kept, token_offsets = _write_tokens(_tokenize(spans, tokenizer, folder, show_progress), report, folder)
    for name, values in {
        "text_spans": spans[kept],
        "text_hashes": text_hashes[kept],
        "document_hashes": document_hashes[kept],
        "token_offsets": token_offsets,
    }.items():
        np.save(folder / f"{name}.npy", values)


def _shown(documents: Iterable[Document], show_progress: bool) -> Iterable[Document]:
    return tqdm(documents, "reading", unit=" documents", delay=_QUIET_SECONDS, leave=False, disable=not show_progress)


def _write_texts(
    documents: Iterable[Document], report: FilterReport, folder: Path
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paragraphs that are long enough and new; where each stands [N, 2], its hash [N], its document's hash [N]."""
    ends, text_hashes, document_hashes = array("q", [0]), array("Q"), array("Q")
    seen: set[int] = set()
    with (folder / "texts.bin").open("wb") as file:
        for document in documents:
            document_hash = hash_text(document.id)
            for paragraph in document.paragraphs:
                report.paragraphs_read += 1
                if len(paragraph) < report.filters.min_characters:
                    report.too_short += 1
                    continue
                text_hash = hash_text(paragraph)
                if text_hash in seen:
                    report.duplicates += 1
                    continue
                seen.add(text_hash)
                ends.append(ends[-1] + file.write(paragraph.encode()))
                text_hashes.append(text_hash)
                document_hashes.append(document_hash)
    spans = np.stack([np.array(ends[:-1], np.int64), np.array(ends[1:], np.int64)], axis=1)
    return spans, np.array(text_hashes, np.uint64), np.array(document_hashes, np.uint64)


def _write_tokens(texts: Iterable[list[int]], report: FilterReport, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of the paragraphs that have as many as the filters ask; which those are [N], and their offsets [N + 1]."""
    kept, offsets = array("q"), array("q", [0])
    with (folder / "tokens.bin").open("wb") as file:
        for index, input_ids in enumerate(texts):
            if len(input_ids) < report.filters.min_tokens:
                report.too_few_tokens += 1
            elif len(input_ids) > report.filters.max_tokens:
                report.too_many_tokens += 1
            else:
                file.write(np.array(input_ids, TOKEN).tobytes())
                kept.append(index)
                offsets.append(offsets[-1] + len(input_ids))
    report.paragraphs, report.tokens = len(kept), offsets[-1]
    return np.array(kept, np.int64), np.array(offsets, np.int64)


def _tokenize(
    spans: np.ndarray, tokenizer: PreTrainedTokenizerBase, folder: Path, show_progress: bool
) -> Iterator[list[int]]:
    # `verbose=False`: a paragraph over the model's length is dropped here, so the tokenizer need not warn of it.
    with (
        (folder / "texts.bin").open("rb") as file,
        tqdm(
            total=len(spans),
            desc="tokenising",
            unit=" paragraphs",
            delay=_QUIET_SECONDS,
            leave=False,
            disable=not show_progress,
        ) as progress,
    ):
        for start in range(0, len(spans), _TEXTS_AT_ONCE):
            chunk = spans[start : start + _TEXTS_AT_ONCE]
            texts = [file.read(end - begin).decode() for begin, end in chunk.tolist()]
            yield from tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
            progress.update(len(chunk))
