"""A text to train on, the arguments of a short run of a tiny model, and a workplace of its own for every test."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb

from llm2comp.cli import main

ROOT = Path(__file__).parents[2]
WORDS = ["fox", "dog", "text", "memory", "token", "frozen", "decoder", "brown", "lazy", "encoder"]

Arguments = Callable[..., list[str]]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 articles of 3 paragraphs of 25 to 60 words, no two alike."""
    path = tmp_path_factory.mktemp("corpus") / "articles.jsonl"
    with path.open("w") as file:
        for i in range(40):
            paragraphs = [
                f"{i:02d}-{j} " + " ".join(WORDS[(i * k + j) % 10] for k in range(25 + (7 * i + 5 * j) % 36))
                for j in range(3)
            ]
            file.write(json.dumps({"title": f"article {i}", "paragraphs": paragraphs}) + "\n")
    return path


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests here: they read the same text."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; afterwards no run is left open and no name of one in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM2COMP_CACHE", str(shared_cache))
    # Otherwise all tests of this process would share the one that W&B starts, with the first one's folder.
    monkeypatch.setenv("WANDB_MODE", "disabled")
    for name in ("LLM2COMP_DATA", "LLM2COMP_RUN", "WANDB_PROJECT"):
        monkeypatch.setenv(name, "")  # so that what a run sets is taken back
        monkeypatch.delenv(name)
    yield tmp_path
    wandb.finish()


@pytest.fixture
def arguments(lm_folder: Path, corpus: Path) -> Arguments:
    """The default experiment, with a tiny model and text, for 12 steps; later arguments go before earlier ones."""

    def make(*more: str, subcommand: str = "fit") -> list[str]:
        return [
            *(subcommand, "--config", str(ROOT / "experiments" / "pretrain_compress.yaml")),
            *("--model.encoder", str(lm_folder), "--model.max_length", "136", "--model.dtype", "float32"),
            *("--model.num_memory_tokens", "3", "--data.train", str(corpus), "--data.min_characters", "10"),
            *("--data.max_tokens", "128", "--data.token_budget", "512", "--trainer.accelerator", "cpu"),
            *("--trainer.max_steps", "12", "--trainer.val_check_interval", "5", "--trainer.log_every_n_steps", "1"),
            *("--checkpoint_every", "3", *more),
        ]

    return make


@pytest.fixture
def run_folder(workplace: Path) -> Callable[[str], Path]:
    return lambda name: workplace / "lightning_logs" / "pretrain_compress" / name


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """The one message with which the command line refuses its arguments."""

    def run(arguments: list[str]) -> str:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        (_, message) = capsys.readouterr().err.split("llm2comp: error: ")
        assert "Traceback" not in message
        return message.strip()

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """Of a process of its own: one thread, so that it computes what another computes, and W&B as without an account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return {**kept, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
