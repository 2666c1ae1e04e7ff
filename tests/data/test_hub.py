"""Hub data sets: pinned, from the mirror where there is one, with a way out where there is no connection."""

from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from llm2comp.data.sources.document import Document
from llm2comp.data.sources.hub_shard import HubShard
from llm2comp.data.sources.registry import open_source
from llm2comp.errors import UserError

REVISION = "b08601e04326c79dfdd32d625aee71d232d685c3"
NAME = f"hub:Salesforce/wikitext@{REVISION}:wikitext-103-raw-v1/train"


def test_without_the_network_the_error_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"LLM2COMP_DATA .* HF_HUB_OFFLINE=1 and HF_HOME"):
        list(open_source(NAME).documents())


def test_rows_of_the_hub_are_grouped_into_articles(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(*args: object, **kwargs: object) -> datasets.Dataset:
        asked.append((args, kwargs))
        return datasets.Dataset.from_dict({"text": ["", " = A = \n", " one \n", " = = B = = \n", " two \n"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert list(open_source(NAME).documents()) == [Document("A", ["one", "two"])]
    options = {"split": "train", "revision": REVISION, "streaming": False}
    assert asked == [(("Salesforce/wikitext", "wikitext-103-raw-v1"), options)]


def test_shards_of_the_hub_are_read_apart_as_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def rows(shards: list[str]) -> Iterator[dict[str, str]]:
        for shard in shards:
            read.append(shard)
            for i in range(3):
                yield {"text": f"{shard}{i}", "other": "x"}

    def load_dataset(*args: object, **kwargs: object) -> datasets.IterableDataset:
        assert kwargs["streaming"]
        return datasets.IterableDataset.from_generator(rows, gen_kwargs={"shards": ["a", "b"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    first, second = open_source(NAME).parts()
    assert [document.paragraphs for document in second.documents()] == [["b0"], ["b1"], ["b2"]]
    assert read == ["b"]
    assert [record.columns["text"] for record in first.records(())] == ["a0", "a1", "a2"]
    assert next(iter(first.records(()))).where == f"{NAME}, shard 0 of 2, row 1"


def test_a_shard_that_cannot_be_read_on_is_named_by_row() -> None:
    def rows(shards: list[str]) -> Iterator[dict[str, str]]:
        yield from ({"text": "fox"} for _ in range(1000))
        raise ConnectionError("gone")

    dataset = datasets.IterableDataset.from_generator(rows, gen_kwargs={"shards": ["a"]})
    with pytest.raises(UserError, match="NAME, after row 1000: the hub cannot be read"):
        list(HubShard("NAME", dataset).documents())


@pytest.mark.parametrize("name", ["hub:Salesforce/wikitext", "hub:Salesforce/wikitext@main:raw/train"])
def test_a_revision_that_is_not_pinned_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="names no pinned revision"):
        open_source(name)


def test_another_spelling_is_refused() -> None:
    with pytest.raises(UserError, match="it is spelt hub:org/name@revision:config/split"):
        open_source("hub:wikitext")


@pytest.mark.parametrize("place", ["mirror/Salesforce/wikitext", "Salesforce/wikitext"])
@pytest.mark.parametrize("file", ["wikitext-103-raw-v1/train-00000-of-00001.txt", "data/train.txt", "train.txt"])
def test_the_mirror_is_read_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, file: str
) -> None:
    monkeypatch.setenv("LLM2COMP_DATA", str(tmp_path))
    fetch = r"hf download Salesforce/wikitext --repo-type dataset --revision [0-9a-f]{40} --local-dir"
    with pytest.raises(UserError, match=rf"is not in (\S+) nor in .* where there is a network, run: {fetch} \1$"):
        open_source(NAME)
    path = tmp_path / place / file
    path.parent.mkdir(parents=True)
    path.write_text("= A =\nhere\n")
    path.with_name("training_notes.txt").write_text("not this")
    assert list(open_source(NAME).documents()) == [Document("A", ["here"])]
    with pytest.raises(UserError, match=r"holds no file validation\.\*"):
        open_source(NAME.replace("/train", "/validation"))
