"""Fixtures shared by all tests: tiny random models, and the folder of real data where there is one."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before the libraries that read them once, as they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# The workers of pytest-xdist share the cores; more threads than cores would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Compiling takes longer than what these tests run.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import pytest
import torch

from tests.tiny import tiny_config, tiny_lm, tiny_tokenizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@pytest.fixture(autouse=True)
def restored_environment() -> Iterator[None]:
    """Libraries leave variables for processes they start, as Lightning its seed, and those would go to later tests."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data: LLM2COMP_DATA, or `shared/data` beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LLM2COMP_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set LLM2COMP_DATA")
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> "list[Figure]":
    """The figures that are saved, each as often as it is."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        figures.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


@pytest.fixture(scope="session")
def tokenizer():
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder of a tiny random Llama with its tokenizer."""
    folder = tmp_path_factory.mktemp("tiny-llama")
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    tiny_lm(tiny_config("llama", vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
