"""`llm2comp data mirror` brings data sets whole or not at all, and goes on where it stopped."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("mteb", reason="the extra `eval` is not installed")

from llm2comp.cli.data import main
from llm2comp.data.mirror import mirrored_revision
from llm2comp.data.mirroring import HubRevision, mirror
from llm2comp.errors import UserError
from llm2comp.evaluation.mteb.loading import loaded
from llm2comp.evaluation.mteb.tasks import datasets_of, english_tasks
from tests.evaluation.mteb.examples import sentence, write_mirror, write_retrieval

ONE, OTHER = HubRevision("org/one", "1" * 40), HubRevision("org/other", "2" * 40)


class Hub(NamedTuple):
    """A folder that stands for the hub, and what it was asked for."""

    folder: Path
    asked: list[HubRevision]


@pytest.fixture
def hub(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub with the data of three tasks, from which the hub's library copies."""
    hub = Hub(workplace / "hub", [])
    write_mirror(hub.folder)

    def snapshot_download(name: str, *, repo_type: str, revision: str, local_dir: Path) -> None:
        assert repo_type == "dataset"
        hub.asked.append(HubRevision(name, revision))
        if not (hub.folder / name).is_dir():
            raise OSError(f"404: {name} is not there\nand more")
        shutil.copytree(hub.folder / name, local_dir, dirs_exist_ok=True)
        (local_dir / ".cache" / "huggingface").mkdir(parents=True)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return hub


def test_tasks_load_from_what_was_mirrored(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_retrieval(hub.folder, "mteb/scifact", "", suffix="parquet")
    tasks = english_tasks("BIOSSES,NFCorpus,SciFact")
    main(["data", "mirror", "--tasks", "BIOSSES,NFCorpus,SciFact", "--to", "to"])
    assert hub.asked == datasets_of(tasks)
    assert "[3/3] mteb/scifact: fetching" in capsys.readouterr().out
    for dataset in datasets_of(tasks):
        assert mirrored_revision(Path("to/mirror") / dataset.name) == dataset.revision
    assert not list(Path("to").rglob(".cache"))
    shutil.rmtree(hub.folder)
    monkeypatch.setenv("LLM2COMP_DATA", "to")
    for task in tasks:
        with loaded(task):
            data: Any = task.dataset
            texts = (
                data["test"]["sentence1"] if task.metadata.type == "STS" else data["default"]["test"]["corpus"]["text"]
            )
            assert texts[1] == sentence(1)


def test_what_is_there_is_left_alone(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "mirror", "--tasks", "BIOSSES", "--to", "to"])
    mark = Path("to/mirror/mteb/biosses-sts/mark")
    mark.touch()
    main(["data", "mirror", "--tasks", "BIOSSES,STSBenchmark", "--to", "to"])
    assert mark.exists()
    assert "[1/2] mteb/biosses-sts: is in to/mirror/mteb/biosses-sts" in capsys.readouterr().out


def test_what_cannot_be_had_is_told_after_the_others(hub: Hub) -> None:
    with pytest.raises(UserError) as error:
        main(["data", "mirror", "--tasks", "SciFact,BIOSSES", "--to", "to"])
    assert "1 of 2 data sets are not in to/mirror:\n  mteb/scifact: 404: mteb/scifact is not there\n" in str(
        error.value
    )
    assert [path.name for path in Path("to/mirror/mteb").glob("[!.]*")] == ["biosses-sts"]


def test_an_interrupted_data_set_is_not_there_and_goes_on(workplace: Path) -> None:
    def interrupted(dataset: HubRevision, folder: Path) -> None:
        (folder / "first").touch()
        raise KeyboardInterrupt

    def rest(dataset: HubRevision, folder: Path) -> None:
        assert (folder / "first").exists() == (dataset == ONE)
        (folder / "second").touch()

    with pytest.raises(KeyboardInterrupt):
        mirror([ONE, OTHER], workplace, interrupted)
    assert not (workplace / "mirror/org/one").exists()
    mirror([ONE, OTHER], workplace, rest)
    assert sorted(path.name for path in (workplace / "mirror/org/one").iterdir()) == [".revision", "first", "second"]
    assert sorted(path.name for path in (workplace / "mirror/org").iterdir()) == ["one", "other"]


def test_another_revision_is_not_mistaken_for_it(workplace: Path) -> None:
    mirror([ONE], workplace, lambda dataset, folder: None)
    with pytest.raises(UserError, match=f"holds revision {'1' * 40}, not {'3' * 40}; mirror into another folder"):
        mirror([ONE._replace(revision="3" * 40)], workplace, lambda dataset, folder: None)
    assert mirrored_revision(workplace / "mirror/org/one") == ONE.revision


def test_what_is_there_but_not_whole_is_told(workplace: Path) -> None:
    def fetch(dataset: HubRevision, folder: Path) -> None:
        (folder / "data").mkdir()
        (folder / "data/first").write_text("12345")
        (folder / "data/a second").write_text("67")

    folder = workplace / "mirror/org/one"
    mirror([ONE], workplace, fetch)
    mirror([ONE], workplace, fetch)
    (folder / "data/a second").write_text("6")
    with pytest.raises(UserError, match=f"{folder}/data/a second has 1 bytes in place of 2; move {folder} away"):
        mirror([ONE], workplace, fetch)
    (folder / "data/a second").unlink()
    with pytest.raises(UserError, match=f"{folder}/data/a second is missing; move {folder} away"):
        mirror([ONE], workplace, fetch)


def test_another_command_is_refused() -> None:
    with pytest.raises(UserError, match="unknown data command 'miror'; did you mean 'mirror'"):
        main(["data", "miror"])
