"""The rehearsal's tiny model and text, and a cache of its own."""

from pathlib import Path

import pytest

from benchmarks.workbench import Workbench, quick_bench


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM2COMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    (tmp_path / "bench").mkdir()
    return quick_bench(tmp_path / "bench")
