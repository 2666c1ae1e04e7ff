"""The page holds what was found, escaped, and says what is missing."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from llm2comp.reporting.dashboard.page import Page, render
from llm2comp.reporting.tables.table import GAP
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run, write_sweep

KEY = "model.init_args.num_memory_tokens"


class Content(HTMLParser):
    """The text of a page without scripts and styles, its tables by caption, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._texts: list[str] = []
        self._tags: list[str] = []
        self._caption = ""
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._tags.append(tag)
        if tag == "a":
            self.links.append(dict(attributes)["href"] or "")
        elif tag == "tr":
            self.tables[self._caption].append([])
        elif tag in ("td", "th"):
            self.tables[self._caption][-1].append("")
        elif tag == "caption":
            self._caption = ""

    def handle_endtag(self, tag: str) -> None:
        while self._tags and self._tags.pop() != tag:  # meta and the like have no end
            pass
        if tag == "caption":
            self.tables[self._caption] = []

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self._tags):
            return
        self._texts.append(data)
        if "caption" in self._tags:
            self._caption += data
        elif {"td", "th"} & set(self._tags):
            self.tables[self._caption][-1][-1] += " ".join(data.split())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lightning_logs"


def page(root: Path) -> Page:
    return render(root, root / "dashboard.html")


def content(root: Path) -> Content:
    return Content(page(root).html)


def test_an_ablation_whole(root: Path):
    memory_tokens(root, {1: 0.1, 4: 0.2, 16: 0.3})
    found = content(root)
    assert "How many memory tokens does a text need?" in found.text
    assert "16 is best: it differs from every other setting by more than the noise of 3 seeds." in found.text
    assert "Same base weights, corpus, training tokens, steps and LoRA." in found.text
    assert "Read with care" not in found.text
    assert "initialization and dropout alone" in found.text
    heading, *rows = found.tables["context recovered (%) by num_memory_tokens, ↑ higher is better"]
    assert heading == [
        *("num_memory_tokens", "mean%", "deviation%", "seeds", "from the bestpoints, 95% interval"),
        *("beyond noise", "training tokensmean"),
    ]
    assert [row[:4] for row in rows] == [
        ["1", "10.0", "0.7", "3"],
        ["4", "20.0", "0.7", "3"],
        ["16", "30.0", "0.7", "3"],
    ]
    assert [row[5] for row in rows] == ["yes", "yes", GAP]
    assert rows[2][4] == "best"
    assert {row[6] for row in rows} == {"119,808"}
    others = found.tables["Mean ± standard deviation over seeds, the best mean bold"]
    assert ["retrieval MRR@10 (%) ↑", "16.0 ± 0.4", "22.0 ± 0.4", "28.0 ± 0.4"] in others
    assert ["STS-B test Spearman (%) ↑", *["45.10 ± 0.00"] * 3] in others
    runs = found.tables["Runs of memory_tokens; a name links to the run's folder"]
    assert len(runs) == 10
    assert ["num_memory_tokens=4,seed=2", "4", "2", "20.6", "119,808", "260", "finished"] in runs
    options = found.tables["Options that are not alike in all runs"]
    assert [KEY, "the sweep", "1 (3 runs); 4 (3 runs); 16 (3 runs)"] in options
    heading, overview = found.tables["All ablations"]
    assert heading[3] == "ahead of the next by"
    assert overview[0] == "memory_tokens"
    assert overview[2:4] == ["16: 30.0 ± 0.7 %", "10.0 points, more than noise"]
    assert overview[-1] == "9 of 9"


def test_links_lead_to_the_folders_from_where_the_page_lies(root: Path, tmp_path: Path):
    memory_tokens(root, {1: 0.1, 4: 0.2}, seeds=(0,))
    write_run(root / "a: b" / "50% done?", {}, numbers(0.3))
    for path in (root / "dashboard.html", tmp_path / "pages" / "of mine" / "dashboard.html"):
        path.parent.mkdir(parents=True, exist_ok=True)
        links = [link for link in Content(render(root, path).html).links if not link.startswith("#")]
        assert len(links) == 3
        for link in links:
            assert not re.match(r"[\w+.-]+:|/", link)
            assert (path.parent / unquote(link)).is_dir()


def test_what_does_not_count_is_named(root: Path):
    folder = memory_tokens(root, {1: 0.1, 4: 0.2, 16: 0.3})
    for name in ("num_memory_tokens=1,seed=0", "num_memory_tokens=4,seed=0"):
        (folder / name / "results.json").unlink()
    (folder / "num_memory_tokens=4,seed=0" / "log.txt").write_text("RuntimeError: not enough memory\n")
    write_run(folder / "num_memory_tokens=1,seed=0", {KEY: 1}, numbers(0.1), until=140)
    write_run(folder / "stranger", {KEY: 5}, numbers(0.9))
    write_run(folder / "num_memory_tokens=16,seed=1", {KEY: 16, "seed_everything": 1}, {"val/loss": 0.5})
    for path in (folder / "num_memory_tokens=16,seed=2").iterdir():
        path.unlink()
    text = content(root).text
    assert "num_memory_tokens=4,seed=0 failed, and does not count: RuntimeError: not enough memory" in text
    assert "Not finished, and not counted: num_memory_tokens=1,seed=0 (step 130 of 260)." in text
    assert "Not counted, for the sweep has no such setting: stranger." in text
    assert "Finished without val/context_recovered, and not counted: num_memory_tokens=16,seed=1." in text
    assert "Of one seed, and so not compared: 16 (29.2 %)." in text
    assert "2 seeds" in text


def test_runs_that_have_not_begun_are_counted(root: Path):
    folder = memory_tokens(root, {1: 0.1, 4: 0.2}, seeds=(0, 1))
    sweep = (folder / "sweep.yaml").read_text().replace("- 4\n", "- 4\n    - 8\n")
    (folder / "sweep.yaml").write_text(sweep)
    found = content(root)
    assert "2 of the 6 runs of the sweep have not begun." in found.text
    assert found.tables["All ablations"][1][-1] == "4 of 6"


def test_options_that_the_sweep_does_not_vary_are_a_warning(root: Path):
    folder = memory_tokens(root, {1: 0.1, 4: 0.2})
    odd = {KEY: 4, "seed_everything": 2, "data.max_tokens": 256}
    write_run(folder / "num_memory_tokens=4,seed=2", odd, numbers(0.2))
    found = content(root)
    assert (
        "Runs differ in data.max_tokens, which the sweep does not vary: 192 (5 runs); 256 (num_memory_tokens=4,seed=2)."
        in found.text
    )
    assert ["data.max_tokens", "not the sweep", "192 (5 runs); 256 (1 run)"] in found.tables[
        "Options that are not alike in all runs"
    ]


def test_one_seed_is_no_verdict_and_unequal_budgets_are_said(root: Path):
    folder = memory_tokens(root, {1: 0.1, 4: 0.2}, seeds=(0,))
    write_run(folder / "num_memory_tokens=4,seed=0", {KEY: 4}, numbers(0.2), tokens=300_000)
    found = content(root)
    assert "One seed: no verdict." in found.text
    assert "Unequal budgets. Training tokens of stage 1: 119,808 (1); 300,000 (4)." in found.text
    (heading, *_) = found.tables["context recovered (%) by num_memory_tokens, ↑ higher is better"]
    assert "deviation%" not in heading


def test_runs_outside_of_ablations_the_newest_first(root: Path):
    for i, name in enumerate(("old", "new")):
        write_run(root / "pretrain_compress" / name, {}, numbers(0.3 + i / 100))
        for path in (root / "pretrain_compress" / name).iterdir():
            os.utime(path, (1e9 + 1e6 * i, 1e9 + 1e6 * i))
    write_run(root / "finetune" / "stopped", {}, {"val/retrieval_mrr": 0.4}, until=140)
    (rows,) = content(root).tables.values()
    assert [row[0] for row in rows[1:]] == ["finetune/stopped", "pretrain_compress/new", "pretrain_compress/old"]
    assert rows[2][2:6] == ["260", "119,808", "0.497", "31.0"]
    assert rows[1][-1] == "unfinished"
    assert rows[1][6] not in ("", GAP)  # the last that was logged


def test_an_ablation_without_its_sweep_is_named_and_its_runs_are_shown(root: Path, monkeypatch: pytest.MonkeyPatch):
    folder = memory_tokens(root, {1: 0.1, 4: 0.2}, seeds=(0,))
    sweep = (folder / "sweep.yaml").read_text()
    (folder / "sweep.yaml").unlink()
    monkeypatch.chdir(root)
    found = content(root)
    assert "ablation_memory_tokens is not shown as an ablation: there is no sweep file" in found.text
    assert "ablation_memory_tokens/num_memory_tokens=4,seed=0" in found.text
    # As where W&B's agent made the runs.
    (root / "experiments" / "sweeps").mkdir(parents=True)
    (root / "experiments" / "sweeps" / "memory_tokens.yaml").write_text(sweep)
    assert "One seed: no verdict." in content(root).text


def test_everything_is_escaped(root: Path):
    evil = "<script>alert(1)</script>"
    folder = write_sweep(root, "evil", evil, ("val/<i>", "maximize"), {"data.train": [evil, "</script><b>"]})
    for i, train in enumerate((evil, "</script><b>")):
        write_run(folder / f"<i>{i}&amp;", {"data.train": train}, {"val/<i>": 0.1 * i})
        (folder / f"<i>{i}&amp;" / "log.txt").write_text("RuntimeError: <i>\n")
    html = page(root).html
    assert html.count(evil) == 0
    own = html.split("<body>")[1].rsplit("<script>", 2)[0]  # without plotly.js
    assert "<i>" not in own
    assert "<b>0.0" not in own  # plotly's own bold, in JSON, is escaped too
    assert "alert(1)" in Content(html).text


@pytest.mark.parametrize("exists", [True, False])
def test_no_runs_at_all(root: Path, exists: bool):
    if exists:
        (root / "evaluation" / "results").mkdir(parents=True)
    found = page(root)
    assert (list(found.ablations), found.num_other_runs) == ([], 0)
    assert "make ablate SWEEP=objective" in Content(found.html).text


def test_an_ablation_that_has_just_begun(root: Path):
    folder = write_sweep(root, "a", "Which?", ("val/loss", "minimize"), {KEY: [1, 2], "seed_everything": [0]})
    (folder / "num_memory_tokens=1").mkdir()
    (folder / "num_memory_tokens=1" / "log.txt").write_text("2025-11-28 14:03:59 $ llm2comp fit\n")
    found = content(root)
    assert "No numbers yet: no verdict." in found.text
    assert "1 of the 2 runs of the sweep have not begun." in found.text


def test_home_and_secrets_stay(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    token = "hf_" + "a" * 20
    key = "model.init_args.encoder"
    values = {key: [str(tmp_path / "one"), str(tmp_path / "two")]}
    folder = write_sweep(root, "a", "Which?", ("val/loss", "minimize"), values)
    for i, encoder in enumerate(values[key]):
        write_run(folder / str(i), {key: encoder, "data.train": f"{tmp_path}/{i}/{token}"}, numbers(0.1 * i))
    html = page(root).html
    assert str(tmp_path) not in html
    assert token not in html
    assert "~/one" in Content(html).text


def test_the_page_allows_itself_no_network(root: Path):
    html = page(root).html
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert not re.findall(
        r"<(?:script|link|img|iframe)[^>]+(?:src|href)=", html.split("<body>")[1].rsplit("<script>", 2)[0]
    )
