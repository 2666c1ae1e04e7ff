"""A corpus is tokenised once, and again when anything it hangs on changes."""

import json
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from llm2comp.data import cache as module
from llm2comp.data import tokenization
from llm2comp.data.cache import tokenized_corpus, tokenizer_fingerprint
from llm2comp.data.corpus import Corpus
from llm2comp.data.filters import Filters
from llm2comp.data.hashing import hash_text
from llm2comp.errors import UserError
from tests.tiny import tiny_tokenizer

FILTERS = Filters(min_characters=1, min_tokens=20, max_tokens=60)


def corpus_of(path: Path, filters: Filters = FILTERS) -> Corpus:
    return tokenized_corpus(str(path), tiny_tokenizer(), filters)


def test_tokens_and_texts_are_those_of_the_source(articles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenization, "_TEXTS_AT_ONCE", 7)
    paragraphs = [p for line in articles.read_text().splitlines() for p in json.loads(line)["paragraphs"]]
    tokenizer = tiny_tokenizer()
    tokens = {p: tokenizer(p, add_special_tokens=False)["input_ids"] for p in paragraphs}
    expected = [p for p in paragraphs if 20 <= len(tokens[p]) <= 60]
    corpus = corpus_of(articles)
    assert 0 < len(expected) < len(paragraphs)
    assert [corpus.text(i) for i in range(len(corpus))] == expected
    assert [corpus.input_ids(i).tolist() for i in range(len(corpus))] == [tokens[p] for p in expected]
    assert corpus.lengths.tolist() == [len(tokens[p]) for p in expected]
    assert corpus.report.tokens == corpus.lengths.sum()
    assert corpus.text_hashes.tolist() == [hash_text(p) for p in expected]
    assert corpus.document_hashes.tolist() == [hash_text(f"article {int(p[:2])}") for p in expected]


def test_every_drop_is_counted_by_its_filter(tmp_path: Path) -> None:
    fits = "the quick brown fox 12345678901234567890"
    path = tmp_path / "a.txt"
    path.write_text("\n".join(["short", fits, fits, "fox " * 9, "12" * 50, "12" * 51, "x"]))
    report = corpus_of(path, Filters(min_characters=6, min_tokens=20, max_tokens=60)).report
    assert (report.paragraphs_read, report.paragraphs) == (7, 1)
    assert report.drops() == "2 shorter than 6 characters, 1 duplicates, 1 under 20 tokens, 2 over 60 tokens"
    with pytest.raises(UserError, match=r"of 7 paragraphs were dropped 7 shorter than 1,000 characters"):
        corpus_of(path, Filters(min_characters=1000, min_tokens=20, max_tokens=60))
    assert len(list((tmp_path / "cache" / "corpora").iterdir())) == 1


def test_a_corpus_is_made_once(articles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = corpus_of(articles)
    monkeypatch.setattr(module, "write_corpus", None)
    assert corpus_of(articles).folder == first.folder


def test_a_corpus_is_made_anew_when_its_key_changes(articles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {corpus_of(articles).folder}
    folders.add(corpus_of(articles, Filters(2, 20, 60)).folder)
    folders.add(corpus_of(articles, Filters(1, 21, 60)).folder)
    folders.add(corpus_of(articles, Filters(1, 20, 61)).folder)
    other = tiny_tokenizer()
    other.add_tokens(["quick fox"])
    folders.add(tokenized_corpus(str(articles), other, FILTERS).folder)
    os.utime(articles, (1, 1))
    folders.add(corpus_of(articles).folder)
    monkeypatch.setattr(module, "CODE_VERSION", -1)
    folders.add(corpus_of(articles).folder)
    assert len(folders) == 7


def test_calls_of_the_tokenizer_do_not_change_its_fingerprint() -> None:
    tokenizer = tiny_tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["a", "b c"], truncation=True, max_length=4, padding="max_length")
    assert tokenizer_fingerprint(tokenizer) == before


def test_a_corpus_that_fails_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "fox " * 40}) + "\nnot JSON\n")
    with pytest.raises(UserError, match="line 2"):
        corpus_of(path)
    assert list((cache / "corpora").iterdir()) == []


def test_a_corpus_made_twice_at_once_is_whole(articles: Path, cache: Path) -> None:
    corpora: list[Corpus] = []
    threads = [threading.Thread(target=lambda: corpora.append(corpus_of(articles))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(corpora) == 4
    assert len(list((cache / "corpora").iterdir())) == 1
    assert {corpus.text(0) for corpus in corpora} == {corpora[0].text(0)}


def test_a_pickled_corpus_is_mapped_again(articles: Path) -> None:
    corpus = corpus_of(articles)
    corpus.input_ids(0)
    data = pickle.dumps(corpus)
    assert len(data) < 1000
    assert np.array_equal(pickle.loads(data).input_ids(3), corpus.input_ids(3))
