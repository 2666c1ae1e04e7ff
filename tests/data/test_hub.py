"""Hub data sets: pinned, from the mirror where there is one, with a way out where there is no connection."""

from pathlib import Path

import datasets
import pytest

from llm2comp.data.sources.document import Document
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
    assert asked == [(("Salesforce/wikitext", "wikitext-103-raw-v1"), {"split": "train", "revision": REVISION})]


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
    with pytest.raises(UserError, match=r"is not in .*mirror/Salesforce/wikitext nor in"):
        open_source(NAME)
    path = tmp_path / place / file
    path.parent.mkdir(parents=True)
    path.write_text("= A =\nhere\n")
    path.with_name("training_notes.txt").write_text("not this")
    assert list(open_source(NAME).documents()) == [Document("A", ["here"])]
    with pytest.raises(UserError, match=r"holds no file validation\.\*"):
        open_source(NAME.replace("/train", "/validation"))
