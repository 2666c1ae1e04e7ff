"""From pairs to a tokenised corpus on disk."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from llm2comp.data.hashing import hash_text
from llm2comp.data.pairs.pair import Pair
from llm2comp.data.pairs.report import PairReport
from llm2comp.data.token_store import TOKEN
from llm2comp.encoder.tokenization import prompt_tokens
from llm2comp.errors import UserError
from llm2comp.prompts import Instruction

_TEXTS_AT_ONCE = 1000
_QUIET_SECONDS = 2.0  # progress is shown on what takes longer


@dataclass(frozen=True)
class TokenLimits:
    """Tokens of a query and of a document, prompt included, special tokens not; longer ones lose their end."""

    query: int
    document: int


def write_pairs(
    pairs: Iterable[Pair],
    instruction: Instruction | None,
    tokenizer: PreTrainedTokenizerBase,
    limits: TokenLimits,
    report: PairReport,
    folder: Path,
    show_progress: bool = True,
) -> None:
    """Write what `PairCorpus` reads, but for `report.json`; `instruction` replaces what the pairs themselves say.

    Texts go to the disk before they are tokenised, so memory holds numbers only.
    """
    (folder / "texts").mkdir()
    arrays = {name: array("q") for name in ("queries", "positives", "negatives")}
    offsets = {name: array("q", [0]) for name in ("positive_offsets", "negative_offsets")}
    hashes = {name: array("Q") for name in ("text_hashes", "query_hashes", "document_hashes")}
    with (folder / "texts" / "texts.bin").open("wb") as file:
        texts = _Texts(file)
        quiet = not show_progress
        for pair in tqdm(pairs, "reading", unit=" pairs", delay=_QUIET_SECONDS, leave=False, disable=quiet):
            asked = instruction or pair.instruction
            before, on_documents = (asked.query, asked.document) if asked else ("", "")
            arrays["queries"].append(texts.add(pair.query, before, limits.query))
            for name, some in (("positive", pair.positives), ("negative", pair.negatives)):
                arrays[f"{name}s"].extend(texts.add(text, on_documents, limits.document) for text in some)
                offsets[f"{name}_offsets"].append(len(arrays[f"{name}s"]))
            hashes["text_hashes"].append(hash_text(repr((pair.query, pair.positives, pair.negatives))))
            hashes["query_hashes"].append(hash_text(pair.query))
            hashes["document_hashes"].append(hash_text(pair.group))
    report.texts = len(texts.hashes)
    texts.write_tokens(tokenizer, report, folder / "texts", quiet)
    for name, numbers in {**arrays, **offsets, **hashes}.items():
        np.save(folder / f"{name}.npy", np.array(numbers, np.uint64 if name in hashes else np.int64))


class _Texts:
    """The table of texts: each once for every prompt and limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._index: dict[tuple[int, int, int], int] = {}
        self._prompts: dict[str, int] = {}
        self._ends = array("q", [0])
        self._prompt_of, self._limit_of = array("i"), array("i")
        self.hashes = array("Q")

    def add(self, text: str, prompt: str, limit: int) -> int:
        text_hash, prompt_id = hash_text(text), self._prompts.setdefault(prompt, len(self._prompts))
        key = (text_hash, prompt_id, limit)
        if key not in self._index:
            self._index[key] = len(self.hashes)
            self._ends.append(self._ends[-1] + self._file.write(text.encode()))
            self._prompt_of.append(prompt_id)
            self._limit_of.append(limit)
            self.hashes.append(text_hash)
        return self._index[key]

    def write_tokens(self, tokenizer: PreTrainedTokenizerBase, report: PairReport, folder: Path, quiet: bool) -> None:
        """Tokens of prompt and text as one string, as the encoder reads them later."""
        prompts = list(self._prompts)
        before = np.array([prompt_tokens(tokenizer, prompt) for prompt in prompts], np.int32)
        limits, prompt_of = np.array(self._limit_of, np.int64), np.array(self._prompt_of, np.int64)
        for prompt, count in zip(prompts, before.tolist(), strict=True):
            smallest = int(limits[prompt_of == self._prompts[prompt]].min(initial=count + 1))
            if smallest <= count:
                raise UserError(
                    f"the instruction {prompt!r} has {count} tokens, which leaves nothing of a text cut to {smallest}; "
                    "raise max_tokens (max_query_tokens, max_document_tokens)"
                )
        offsets = array("q", [0])
        with (folder / "tokens.bin").open("wb") as file:
            for index, input_ids in enumerate(self._tokenize(tokenizer, prompts, folder, quiet)):
                limit = self._limit_of[index]
                report.texts_cut += len(input_ids) > limit
                file.write(np.array(input_ids[:limit], TOKEN).tobytes())
                offsets.append(offsets[-1] + min(len(input_ids), limit))
        ends = np.array(self._ends, np.int64)
        np.save(folder / "text_spans.npy", np.stack([ends[:-1], ends[1:]], axis=1))
        np.save(folder / "text_hashes.npy", np.array(self.hashes, np.uint64))
        np.save(folder / "token_offsets.npy", np.array(offsets, np.int64))
        np.save(folder / "prompt_tokens.npy", before[prompt_of])

    def _tokenize(
        self, tokenizer: PreTrainedTokenizerBase, prompts: list[str], folder: Path, quiet: bool
    ) -> Iterator[list[int]]:
        # `verbose=False`: a text over the model's length is cut here, so the tokenizer need not warn of it.
        total = len(self.hashes)
        with (
            (folder / "texts.bin").open("rb") as file,
            tqdm(
                total=total, desc="tokenising", unit=" texts", delay=_QUIET_SECONDS, leave=False, disable=quiet
            ) as progress,
        ):
            for start in range(0, total, _TEXTS_AT_ONCE):
                some = range(start, min(start + _TEXTS_AT_ONCE, total))
                texts = [
                    prompts[self._prompt_of[i]] + file.read(self._ends[i + 1] - self._ends[i]).decode() for i in some
                ]
                yield from tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
                progress.update(len(texts))
