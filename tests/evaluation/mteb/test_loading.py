"""Tasks load from the mirror and nowhere else; what is missing or damaged is named."""

import re
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest

pytest.importorskip("mteb", reason="the extra `eval` is not installed")

from mteb.abstasks import AbsTask

from llm2comp.data.mirror import record_revision
from llm2comp.errors import UserError
from llm2comp.evaluation.mteb.loading import loaded, missing_data, note_on_data
from llm2comp.evaluation.mteb.tasks import english_tasks
from tests.evaluation.mteb.examples import sentence, write_dataset, write_retrieval, write_sts


def task(name: str) -> AbsTask:
    (found,) = english_tasks(name)
    return found


def read(task: AbsTask) -> None:
    with loaded(task):
        data = task.dataset or {}
        list(data["default"]["test"]["corpus"] if "default" in data else data["test"])


def refusal(name: str) -> str:
    with pytest.raises(UserError) as error:
        read(task(name))
    return str(error.value)


def test_pairs_come_from_the_mirror(mirror: Path) -> None:
    sts = task("STSBenchmark")
    published = sts.metadata
    for _ in range(2):  # after a task is done it is as it was
        with loaded(sts):
            assert len(sts.dataset["test"]) == 30
            assert sts.dataset["test"][3]["sentence1"] == sentence(3)
        assert sts.metadata is published
        assert not sts.data_loaded


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_retrieval_task_comes_from_the_mirror(mirror: Path, suffix: str) -> None:
    arguana = task("ArguAna")
    dataset = arguana.metadata.dataset
    write_retrieval(mirror, dataset["path"], dataset["revision"], documents=7, suffix=suffix)
    with loaded(arguana):
        data = arguana.dataset["default"]["test"]
        assert data["corpus"][6] == {"id": "d6", "title": "title 6", "text": sentence(6)}
        assert data["queries"]["id"] == [f"q{i}" for i in range(5)]
        assert data["relevant_docs"]["q4"] == {"d4": 1}


def test_data_that_has_changed_is_read_again(mirror: Path) -> None:
    """Also where the files go by the names that they had, as those of the next user's folder do."""
    sts = task("STSBenchmark")
    for pairs in (30, 31):
        write_sts(mirror, "mteb/stsbenchmark-sts", sts.metadata.revision, pairs=pairs)
        with loaded(sts):
            assert len(sts.dataset["test"]) == pairs


def test_english_is_taken_from_all_languages(mirror: Path) -> None:
    sts17 = task("STS17")
    rows = [
        {"sentence1": sentence(i), "sentence2": "x", "score": 1.0, "lang": lang}
        for i in range(4)
        for lang in ("en-en", "es-es")
    ]
    dataset = sts17.metadata.dataset
    write_dataset(mirror / dataset["path"], dataset["revision"], {"default": {"test": rows}})
    with loaded(sts17):
        assert set(sts17.dataset) == {"en-en"}
        assert len(sts17.dataset["en-en"]["test"]) == 4


def test_no_network_is_used(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    sts, seen = task("STSBenchmark"), []
    monkeypatch.setattr(sts, "load_data", lambda: seen.append(huggingface_hub.constants.HF_HUB_OFFLINE))
    with loaded(sts):
        assert not huggingface_hub.constants.HF_HUB_OFFLINE  # data apart, it is not this function's to forbid
    assert seen == [True]


def test_a_missing_folder_is_named_with_what_to_run(mirror: Path) -> None:
    message = f"{mirror}/mteb/scifact is missing"
    assert missing_data(task("SciFact")) == message
    command = f"where there is a network, run: llm2comp data mirror --tasks SciFact --to {mirror.parent}"
    assert refusal("SciFact") == f"{message}; {command}"
    assert missing_data(task("NFCorpus")) is None


def test_a_folder_at_another_revision_is_refused(mirror: Path) -> None:
    write_sts(mirror, "mteb/sickr-sts", "0" * 40)
    assert f"mirror/mteb/sickr-sts holds revision {'0' * 40}, not 20a6d6f3" in refusal("SICK-R")


def test_without_a_mirror_the_hub_is_asked(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM2COMP_DATA")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert missing_data(task("SciFact")) is None
    assert "mteb/scifact cannot be had from the hub" in refusal("SciFact")


@pytest.mark.parametrize(
    ("suffix", "damage", "message"),
    [
        ("jsonl", lambda whole: whole[: len(whole) // 2 + 3], r"corpus/corpus\.jsonl, line \d+: not JSON"),
        ("jsonl", lambda whole: b"", r"corpus/corpus\.jsonl is empty"),
        ("jsonl", lambda whole: whole.replace(b"title 3", b"title \xff"), r"corpus\.jsonl, line 4: not UTF-8"),
        ("parquet", lambda whole: whole[:-20], r"corpus/corpus\.parquet: not a parquet file"),
    ],
)
def test_a_damaged_file_is_named(mirror: Path, suffix: str, damage: Callable[[bytes], bytes], message: str) -> None:
    arguana = task("ArguAna")
    dataset = arguana.metadata.dataset
    folder = write_retrieval(mirror, dataset["path"], dataset["revision"], suffix=suffix)
    path = folder / "corpus" / f"corpus.{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    record_revision(folder, dataset["revision"])  # as of a file that came damaged
    command = "; move the folder away and, where there is a network, run: llm2comp data mirror --tasks ArguAna"
    assert re.search(f"{message}.*{command}", refusal("ArguAna"))


def test_a_file_that_is_not_there_is_named(mirror: Path) -> None:
    (mirror / "mteb/nfcorpus/queries/queries.jsonl").unlink()
    (mirror / "mteb/nfcorpus/.revision").unlink()
    assert "mteb/nfcorpus/queries/queries.jsonl" in refusal("NFCorpus")


def test_a_file_that_is_not_as_it_was_fetched_is_named(mirror: Path) -> None:
    """One that is cut at the end of a line, and one of several that are found by their names, would not be missed."""
    folder = mirror / "mteb/nfcorpus"
    path = folder / "corpus/corpus.jsonl"
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    size = f"{path.stat().st_size:,} bytes in place of {len(whole):,}"
    assert f"{path} has {size}; move {folder} away; where there is a network, run: " in refusal("NFCorpus")
    path.unlink()
    assert missing_data(task("NFCorpus")) == f"{path} is missing; move {folder} away"


def test_rows_that_are_not_there_are_counted(mirror: Path) -> None:
    """A file that is cut at the end of a line is well-formed; of a copy with a revision the sizes are known."""
    for name, path, message in (
        ("STSBenchmark", "mteb/stsbenchmark-sts", "lacks 1,349 of 1,379 rows of the split 'test': a file is not whole"),
        ("NFCorpus", "mteb/nfcorpus", "lacks 3,931 of 3,956 rows of the split 'test'"),
    ):
        (mirror / path / ".revision").unlink()
        assert f"{path} {message}" in refusal(name)
    write_sts(mirror, "mteb/stsbenchmark-sts", None, pairs=1379)
    with loaded(task("STSBenchmark")):
        pass


def test_known_differences_of_copies_made_by_hand_are_told(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert note_on_data(task("BIOSSES")) is None
    (mirror / "mteb/biosses-sts/.revision").unlink()
    assert "81.25 on the copy that is known here, and 81.64 is published" in str(note_on_data(task("BIOSSES")))
    (mirror / "mteb/stsbenchmark-sts/.revision").unlink()
    assert note_on_data(task("STSBenchmark")) is None
    monkeypatch.delenv("LLM2COMP_DATA")
    assert note_on_data(task("BIOSSES")) is None
