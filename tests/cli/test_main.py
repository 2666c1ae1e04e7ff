"""The console command itself."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from llm2comp.cli import COMMANDS, main
from llm2comp.cli.wrapped_errors import user_error_in
from llm2comp.errors import UserError


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=str)
def test_help_lists_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    main(arguments)
    printed = capsys.readouterr().out
    for name, (_, description) in COMMANDS.items():
        assert f"  {name} " in printed
        assert description in printed


def test_help_answers_at_once_and_imports_no_torch():
    code = "import sys, llm2comp.cli as cli; cli.main(['--help']); print('torch' in sys.modules, file=sys.stderr)"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
    assert done.stderr.strip() == "False"
    assert "usage: llm2comp" in done.stdout
    assert min(times) < 1.5


def test_an_unknown_command_gives_the_nearest(refused: Callable[[list[str]], str]):
    assert refused(["fti"]) == "unknown command 'fti'; did you mean 'fit'?"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert not stop.value.code
    assert "usage: llm2comp" in capsys.readouterr().out


def test_an_error_that_is_not_the_users_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    def fail(_: list[str]) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("llm2comp.cli.reconstruct.main", fail)
    with pytest.raises(ValueError, match="a bug"):
        main(["reconstruct"])


def test_user_error_in_finds_what_others_wrapped():
    original = UserError("rank must be at least 1")
    named, implied = TypeError("does not validate"), ValueError("Union")
    named.__cause__ = original  # raise named from original
    implied.__context__ = named  # raised while named was handled
    assert user_error_in(implied) is original
    assert user_error_in(named) is original
    assert user_error_in(original) is original
    assert user_error_in(ValueError("other")) is None
    assert user_error_in(None) is None
