"""The processes, models and texts of all tests here, each made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.strategies.processes import Processes
from tests.strategies.runs import write_corpus, write_lm


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strategies")


@pytest.fixture(scope="session")
def two_processes(folder: Path) -> Iterator[Processes]:
    with Processes(folder) as processes:
        yield processes


@pytest.fixture(scope="session")
def corpora(folder: Path) -> tuple[str, str]:
    """Articles and pairs."""
    return write_corpus(folder)


@pytest.fixture(scope="session")
def lm(folder: Path) -> str:
    """A tiny Llama."""
    return write_lm(folder)


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM2COMP_CACHE", str(folder / "cache"))
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)
