"""`llm2comp evaluate` prints a table without silent gaps, and goes on after SIGKILL where it was."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("mteb", reason="the extra `eval` is not installed")

from llm2comp.cli.evaluate import main
from llm2comp.errors import UserError
from llm2comp.evaluation.mteb import replicas
from llm2comp.evaluation.mteb.results import read_scores
from llm2comp.reporting.tables.table import GAP
from tests.evaluation.mteb.examples import WordEncoder, write_mirror, write_sts

ROOT = Path(__file__).parents[2]
TASKS = "BIOSSES,STSBenchmark,NFCorpus"

# The fifth call of `encode` is in the third task. There it says so and waits.
STUCK = """
import sys, time
from pathlib import Path

from llm2comp.cli.evaluate import main
from llm2comp.evaluation.mteb import replicas
from tests.evaluation.mteb.examples import WordEncoder

class Stuck(WordEncoder):
    def encode(self, texts, **options):
        if len(self.asked) == 4:
            Path(sys.argv[1]).touch()
            time.sleep(600)
        return super().encode(texts, **options)

replicas.open_encoder = lambda spec, **options: Stuck()
main(sys.argv[2:])
"""

Opened = dict[str, WordEncoder]


@pytest.fixture
def opened(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """The encoders that the command has opened, by what it was given; its data is in `data/mirror`."""
    write_mirror(workplace / "data" / "mirror")
    monkeypatch.setenv("LLM2COMP_DATA", "data")
    encoders: Opened = {}

    def open_encoder(spec: str, **options: object) -> WordEncoder:
        assert options == {"dtype": "auto", "max_length": None}
        encoders[spec] = WordEncoder(spec, seed=len(spec))
        return encoders[spec]

    monkeypatch.setattr(replicas, "open_encoder", open_encoder)
    return encoders


def arguments(*encoders: str, tasks: str = TASKS, output: str = "out") -> list[str]:
    given = [part for encoder in encoders for part in ("--encoder", encoder)]
    return ["evaluate", *given, "--tasks", tasks, "--output", output]


def cells(printed: str, encoder: str) -> list[str]:
    """What stands in the encoder's rows, which are several where the table is wider than the terminal."""
    return [cell for line in printed.splitlines() if (words := line.split())[:1] == [encoder] for cell in words[1:]]


def test_encoders_stand_side_by_side(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments("one", "three"))
    printed = capsys.readouterr().out
    by_name = {scores.name: scores.scores for scores in read_scores("out")}
    assert set(by_name) == {"one", "three"}
    for name, scores in by_name.items():
        row = cells(printed, name)
        for score in (*scores.values(), sum(scores.values()) / 3):
            assert f"{score:.2f}" in row
    assert "Not a fair comparison: how it was made is not recorded (one, three)." in printed


def test_tasks_of_the_paper_stand_beside_its_rows(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments("one", tasks="STSBenchmark,NFCorpus"))
    printed = capsys.readouterr().out
    assert "Runs here" in printed
    assert {"70.87", "9.24"} <= set(cells(printed, "Comp-KL"))


def test_a_gap_is_no_silent_change_of_the_mean(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments("one", tasks="BIOSSES,SciFact,NFCorpus"))
    assert stop.value.code == 1
    printed = capsys.readouterr()
    scores = read_scores("out")[0].scores
    assert set(scores) == {"BIOSSES", "NFCorpus"}
    row = cells(printed.out, "one")
    assert all(f"{score:.2f}" in row for score in scores.values())
    assert row[-1] == GAP  # the mean over all
    assert "neither is a mean that it would be part of" in " ".join(printed.out.split())
    command = f"llm2comp data mirror --tasks SciFact --to {Path('data').absolute()}"
    before, after = printed.err.split("1 failed:")
    assert "warning: SciFact will have no score" in before
    assert command in before
    assert after.strip().startswith("one, SciFact: ")
    assert command in after


def test_an_unknown_task_is_refused_before_anything_is_opened(opened: Opened) -> None:
    with pytest.raises(UserError, match=r"unknown .* 'STSBenchmarc'; did you mean .*'STSBenchmark'"):
        main(arguments("one", tasks="STSBenchmarc"))
    assert opened == {}


def test_what_is_known_of_the_data_stands_under_the_table(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_sts(Path("data/mirror"), "mteb/biosses-sts", "", pairs=100)
    (folder / ".revision").unlink()
    main(arguments("one"))
    printed = " ".join(capsys.readouterr().out.split())
    assert "BIOSSES: the copy of mteb/biosses-sts under LLM2COMP_DATA has no revision" in printed


def test_without_mteb_it_says_what_to_install(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm2comp.evaluation.mteb.library.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'llm2comp\[eval\]'"):
        main(arguments("one"))


def test_help_does_not_wait_for_mteb(environment: dict[str, str]) -> None:
    code = "import sys, llm2comp.cli.evaluate, llm2comp.cli.data; sys.exit('mteb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.slow
def test_after_sigkill_nothing_finished_is_computed_again(
    opened: Opened,
    workplace: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reached = workplace / "reached"
    command = [sys.executable, "-c", STUCK, str(reached), *arguments("one")]
    inherited = {**environment, "PYTHONPATH": str(ROOT), "LLM2COMP_DATA": "data"}
    with subprocess.Popen(command, env=inherited, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for(lambda: reached.exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = WordEncoder("words")
    finished = {path.stem for path in Path("out").rglob("*.json")} - {"model_meta"}
    assert finished == {"BIOSSES", "STSBenchmark"}

    monkeypatch.setattr(replicas, "open_encoder", lambda spec, **options: resumed)
    main(arguments("one"))
    again = capsys.readouterr().out
    assert len(resumed.asked) == 2  # the queries and the documents of NFCorpus
    main(arguments("one", output="whole"))
    assert capsys.readouterr().out.replace("whole", "out") == again
    assert len(resumed.asked) == 2 + 6


def wait_for(done: Callable[[], bool], seconds: float = 300) -> None:
    start = time.monotonic()
    while not done():
        assert time.monotonic() - start < seconds
        time.sleep(0.1)
