"""`llm2comp dashboard`: a page beside the runs, and a word on what it shows."""

from pathlib import Path

import pytest

from llm2comp.cli import dashboard
from llm2comp.cli.dashboard import main
from llm2comp.errors import UserError
from llm2comp.reporting.wandb_dashboards import saving
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run


def test_the_page_lies_beside_the_runs(workplace: Path, capsys: pytest.CaptureFixture[str]):
    memory_tokens(workplace / "lightning_logs", {1: 0.1, 8: 0.3})
    write_run(workplace / "lightning_logs" / "pretrain_compress" / "a", {}, numbers(0.3))
    main(["dashboard"])
    printed = capsys.readouterr().out
    assert "memory_tokens: 8 is best: it differs from 1 by more than the noise of 3 seeds." in printed
    assert "The page is lightning_logs/dashboard.html (1 ablation, 1 other run)" in printed
    html = (workplace / "lightning_logs" / "dashboard.html").read_text()
    assert "How many memory tokens does a text need?" in html
    assert [path.name for path in (workplace / "lightning_logs").glob("*dashboard*")] == ["dashboard.html"]


def test_root_and_output_are_options(workplace: Path):
    memory_tokens(workplace / "elsewhere", {1: 0.1, 8: 0.3})
    main(["dashboard", "--root", "elsewhere", "--output", "pages/mine.html"])
    assert 'href="../elsewhere/ablation_memory_tokens/' in (workplace / "pages" / "mine.html").read_text().replace(
        "./../", "../"
    )


def test_what_cannot_be_shown_is_printed(workplace: Path, capsys: pytest.CaptureFixture[str]):
    folder = memory_tokens(workplace / "lightning_logs", {1: 0.1, 8: 0.3})
    (folder / "sweep.yaml").write_text("name: memory_tokens\n")
    main(["dashboard"])
    printed = capsys.readouterr().out
    assert "ablation_memory_tokens is not shown as an ablation" in printed
    assert "(0 ablations, 6 other runs)" in printed


def test_without_runs_the_page_says_how_to_begin(workplace: Path, capsys: pytest.CaptureFixture[str]):
    main(["dashboard"])
    assert "make ablate SWEEP=objective" in (workplace / "lightning_logs" / "dashboard.html").read_text()
    assert "(0 ablations, 0 other runs)" in capsys.readouterr().out


def test_a_name_that_is_no_pages_is_refused(workplace: Path):
    with pytest.raises(UserError, match=r"page\.pdf must end in \.html"):
        main(["dashboard", "--output", "page.pdf"])


def test_a_place_that_cannot_be_written_is_named(workplace: Path):
    (workplace / "file").touch()
    with pytest.raises(UserError, match=r"could not write file/page\.html"):
        main(["dashboard", "--output", "file/page.html"])


def test_the_page_is_there_also_where_wandb_has_no_account(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    memory_tokens(workplace / "lightning_logs", {1: 0.1, 8: 0.3})
    monkeypatch.setattr(saving, "has_account", lambda: False)
    with pytest.raises(UserError, match="needs an account"):
        main(["dashboard", "--wandb", "ada/llm2comp"])
    assert (workplace / "lightning_logs" / "dashboard.html").is_file()


def test_wandb_gets_the_sweeps_of_the_ablations_that_were_found(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    memory_tokens(workplace / "lightning_logs", {1: 0.1, 8: 0.3})
    saved = []
    monkeypatch.setattr(
        dashboard, "save_dashboards", lambda path, sweeps: [saved.append((path, sweeps[0].name)) or "https://there"]
    )
    main(["dashboard", "--wandb", "ada/llm2comp"])
    assert saved == [("ada/llm2comp", "memory_tokens")]
    assert "https://there" in capsys.readouterr().out
