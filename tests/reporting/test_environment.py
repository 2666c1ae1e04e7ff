"""What a run was made with is told, and nothing of who made it or where."""

import getpass
import json
import socket
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from llm2comp.reporting.environment import code_version, environment


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        command = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "-q")
    return run


def test_a_checkout_is_told_by_its_commit_and_whether_it_was_changed(tmp_path: Path, git: Callable[..., str]):
    (tmp_path / "package").mkdir()
    file, other = tmp_path / "package" / "__init__.py", tmp_path / "other.py"
    file.touch()
    other.touch()
    git("add", ".")
    git("commit", "-qm", "first")
    assert code_version(file) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    other.write_text("x = 1")
    assert code_version(file) == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_a_package_installed_in_someone_elses_checkout_has_no_commit(tmp_path: Path, git: Callable[..., str]):
    (tmp_path / ".gitignore").write_text("venv\n")
    git("add", ".")
    git("commit", "-qm", "first")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "__init__.py").touch()
    assert code_version(tmp_path / "venv" / "__init__.py") is None


def test_no_git_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert code_version(tmp_path / "__init__.py") is None
    monkeypatch.setenv("PATH", "")
    assert code_version(Path(__file__)) is None


def test_versions_and_machine_are_told_and_no_host_or_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "planted-host")
    monkeypatch.setattr(getpass, "getuser", lambda: "planted-user")
    told = environment()
    assert told["packages"]["torch"] == version("torch")
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["memory_gib"] > 0
    assert "planted" not in json.dumps(told)
    assert str(Path.home()) not in json.dumps(told)
