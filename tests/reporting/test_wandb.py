"""A W&B run needs no account, and holds no more of the machine than it must."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.wandb import sync_command, wandb_logger


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("WANDB_") or name == "NETRC":
            monkeypatch.delenv(name)
    home = tmp_path / "planted-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def mode(tmp_path: Path) -> str | None:
    run = RunFolder(tmp_path / "logs", "pretrain_compress", "first")
    return wandb_logger(run, {}, "Distillation")._wandb_init["mode"]


def test_an_offline_run_holds_the_config_and_nothing_private(
    tmp_path: Path, no_account: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    for name in ("PLANTED_TOKEN", "PLANTED", "USER", "USERNAME"):
        monkeypatch.setenv(name, f"planted-value-of-{name}")
    # What would make W&B keep the program and its output; the run's own settings must win.
    monkeypatch.setenv("WANDB_SAVE_CODE", "true")
    monkeypatch.setenv("WANDB_CONSOLE", "wrap")
    monkeypatch.setattr(socket, "gethostname", lambda: "planted-host")
    (tmp_path / "planted-folder").mkdir()
    monkeypatch.chdir(tmp_path / "planted-folder")
    Path("planted-program.py").write_text("planted = 1")
    monkeypatch.setattr(sys, "argv", ["planted-program.py", "--password=planted-password"])
    for command in (
        "init -q",
        "remote add origin https://planted.org/planted",
        "-c user.name=planted -c user.email=planted@planted.org commit -q --allow-empty -m planted",
    ):
        subprocess.run(["git", *command.split()], check=True)

    run = RunFolder(Path("logs"), "pretrain_compress", "first")
    config = {"model": {"encoder": f"{no_account}/models/tiny", "lr": 0.25}, "hub": {"token": "planted-token"}}
    logger = wandb_logger(run, config, "Distillation")
    assert not (run.path / "wandb").exists(), "W&B starts before training does"
    logger.log_hyperparams({"encoder": f"{no_account}/models/tiny"})
    logger.log_metrics({"train/loss": 1.5}, step=3)
    print("planted output")
    assert (logger.experiment.settings.console, logger.experiment.settings.save_code) == ("off", False)
    logger.experiment.finish()

    assert capfd.readouterr() == ("planted output\n", "")
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    assert sync_command(run) == f"wandb sync {folder}"
    record = folder / "run-pretrain_compress-first.wandb"
    deadline = time.monotonic() + 30  # W&B's own process writes it, and `finish` does not wait for it
    content = b""
    while b"train/loss" not in content and time.monotonic() < deadline:
        content = record.read_bytes() if record.is_file() else b""
        time.sleep(0.1)
    for expected in (b"~/models/tiny", b"[removed]", b"train/loss", b"pretrain_compress", b"first"):
        assert expected in content
    for path in run.path.rglob("*"):
        assert "planted" not in path.name
        if path.is_file() and not path.name.startswith("debug"):  # W&B's own logs, which stay on this machine
            assert b"planted" not in path.read_bytes(), path


def test_it_is_offline_without_an_account_only(tmp_path: Path, no_account: Path, monkeypatch: pytest.MonkeyPatch):
    assert mode(tmp_path) == "offline"
    (no_account / ".netrc").write_text("machine example.org login ada password lovelace\n")
    assert mode(tmp_path) == "offline"
    (no_account / ".netrc").write_text("machine api.wandb.ai login user password lovelace\n")
    assert mode(tmp_path) is None
    # Logged in at a server of one's own, which `wandb login` notes here.
    settings = no_account / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nbase_url = https://example.com\n")
    assert mode(tmp_path) == "offline"
    (no_account / ".netrc").write_text("machine example.com login user password lovelace\n")
    assert mode(tmp_path) is None
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode(tmp_path) == "disabled"
    monkeypatch.delenv("WANDB_MODE")
    (no_account / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert mode(tmp_path) is None


def test_a_resumed_run_is_the_same_run(tmp_path: Path, no_account: Path):
    run = RunFolder(tmp_path, "pretrain_compress", "first")
    other = RunFolder(tmp_path, "pretrain_compress", "2")
    ids = [wandb_logger(each, {}, "Distillation").version for each in (run, run, other)]
    assert ids[0] == ids[1] != ids[2]
    assert sync_command(run) is None
