"""`llm2comp reconstruct` prints what is left of a text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llm2comp.cli import main
from tests.cli.conftest import Arguments

Folder = Callable[[str], Path]
Refused = Callable[[list[str]], str]


@pytest.fixture
def encoder(arguments: Arguments, run_folder: Folder, capsys: pytest.CaptureFixture[str]) -> str:
    """The folder of an encoder that was trained for two steps."""
    main(arguments("--run", "a", "--trainer.max_steps", "2", "--trainer.logger", "false"))
    capsys.readouterr()
    return str(run_folder("a") / "encoder")


def test_it_prints_what_the_decoder_says_and_how_far_it_agrees(
    encoder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "500")
    main(["reconstruct", "--encoder", encoder, "The quick brown fox", "--max_new_tokens", "6"])
    after, memory, text, follows = capsys.readouterr().out.splitlines()
    assert after.startswith("The decoder after the text: ")
    assert memory.startswith("From memory alone: ")
    assert text.startswith("The text itself, token by token (")
    assert text.endswith("% said from memory): The quick brown fox")
    assert follows.startswith("What follows, token by token (")
    assert follows.partition("): ")[2].strip() == after.partition(": ")[2].strip()


@pytest.mark.parametrize(
    "text", ["", "🦊 שלום", "[red]not markup[/red]", "word " * 500], ids=["empty", "other", "markup", "long"]
)
def test_any_text_will_do(encoder: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "5000")
    main(["reconstruct", "--encoder", encoder, text, "--max_new_tokens", "2"])
    line = capsys.readouterr().out.splitlines()[2]
    if "markup" in text:
        assert line.endswith(text)


def test_what_cannot_be_read_is_refused(encoder: str, lm_folder: Path, refused: Refused):
    assert f"{lm_folder} has no memory tokens" in refused(["reconstruct", "--encoder", str(lm_folder), "a"])
    assert "no model" in refused(["reconstruct", "--encoder", encoder + "s/nowhere", "a"])


@pytest.mark.parametrize("arguments", [[], ["a"], ["a", "--encoder", "x", "--max_new_tokens", "0"]], ids=str)
def test_arguments_that_are_missing_or_wrong_end_with_status_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", *arguments])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err
