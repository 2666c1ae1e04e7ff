"""A run leaves no secret and no home path anywhere: its folder, checkpoints, encoder and W&B record are searched."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from lightning.pytorch import Callback

from llm2comp.cli import main
from tests.cli.conftest import Arguments

# By its form, by the name it stands under, in an address, and as the value of a variable.
HUB_TOKEN = "hf_plantedHubToken1234567890"
PASSWORD = "plantedPassword0987"
LOGIN = "plantedLogin5678"
VARIABLE = "plantedVariable4321"
API_KEY = "0123456789abcdef0123456789abcdef01234567"
SECRETS = (HUB_TOKEN, PASSWORD, LOGIN, VARIABLE, API_KEY)


class Noted(Callback):
    """Does nothing with what it is given."""

    def __init__(self, source: str, password: str, note: str) -> None:
        """Take it."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder in which all of the run lies, with what is secret in the environment; W&B is offline."""
    home = tmp_path / "planted-home"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("HF_TOKEN", HUB_TOKEN)
    monkeypatch.setenv("SERVICE_SECRET", VARIABLE)
    wandb.teardown()
    yield home
    wandb.teardown()


@pytest.fixture
def options(home: Path, lm_folder: Path, corpus: Path) -> list[str]:
    """What of the arguments is nobody else's business."""
    shutil.copytree(lm_folder, home / "models" / "tiny")
    shutil.copy(corpus, home / "articles.jsonl")
    callback = ("--trainer.callbacks+=tests.cli.test_privacy.Noted", f"--trainer.callbacks.password={PASSWORD}")
    return [
        *("--model.encoder", str(home / "models" / "tiny"), "--data.train", str(home / "articles.jsonl")),
        *("--root", str(home / "runs"), "--run", "a", "--trainer.max_steps", "6"),
        *callback,
        f"--trainer.callbacks.source=https://ada:{LOGIN}@example.org/{home}/x?token={LOGIN}",
        f"--trainer.callbacks.note={HUB_TOKEN} and {VARIABLE}",
    ]


def recorded(run: Path, expected: bytes) -> bytes:
    """The W&B record, as soon as what was logged last is in it: W&B's own process writes it."""
    deadline = time.monotonic() + 30
    content = b""
    while expected not in content and time.monotonic() < deadline:
        content = b"".join(path.read_bytes() for path in run.glob("wandb/offline-run-*/*.wandb"))
        time.sleep(0.1)
    return content


def test_nothing_private_is_left_anywhere(arguments: Arguments, options: list[str], home: Path):
    main(arguments(*options))
    wandb.finish()
    run = home / "runs" / "pretrain_compress" / "a"
    record = recorded(run, b"geometry/isoscore")
    for expected in (b"geometry/isoscore", b"reconstructions", b"~/models/tiny", b"corpus", b"checksum", b"encoder-"):
        assert expected in record
    searched = 0
    for path in home.rglob("*"):
        if not path.is_file() or path.is_relative_to(home / "models") or path == home / "articles.jsonl":
            continue
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in content, path
        # W&B's own logs stay on this machine.
        if path.is_relative_to(run) and not path.name.startswith("debug"):
            assert str(home).encode() not in content, path
            searched += 1
    assert searched > 15
