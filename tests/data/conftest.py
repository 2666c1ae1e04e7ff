"""A cache of its own for every test, and no mirror of the hub unless a test makes one."""

import json
from pathlib import Path

import pytest

WORDS = ["fox", "dog", "text", "memory", "token", "frozen", "decoder", "brown", "lazy", "encoder"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM2COMP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """20 articles of 3 paragraphs of 25 to 60 tokens, no two alike."""
    path = tmp_path / "articles.jsonl"
    with path.open("w") as file:
        for i in range(20):
            paragraphs = [
                f"{i:02d}-{j} " + " ".join(WORDS[(i * k + j) % 10] for k in range(25 + (7 * i + 5 * j) % 36))
                for j in range(3)
            ]
            file.write(json.dumps({"title": f"article {i}", "paragraphs": paragraphs}) + "\n")
    return path
