"""What the log of a run tells of its command."""

import os
import sys
from pathlib import Path

import pytest

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.sweeps.planned_run import PlannedRun
from llm2comp.sweeps.run_process import RunProcess

ECHO = "import sys; print(*sys.argv[1:])"


def test_the_log_has_its_command_without_secrets_and_home_paths(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("SOME_API_KEY", "correct-horse")
    given = [
        "--data",
        "/home/ada/a.txt",
        "--hub.token",
        "x1",
        "--key=correct-horse",
        "--password=x2",
        "--pad_token",
        "_",
    ]
    run = PlannedRun(RunFolder(Path("lightning_logs"), "ablation_one", "first"), (sys.executable, "-c", ECHO, *given))
    process = RunProcess.start(run, os.environ)
    assert process is not None
    assert process.wait() == 0
    command, output = run.log.read_text().splitlines()
    assert command.endswith(
        "--data '~/a.txt' --hub.token '[removed]' '--key=[removed]' '--password=[removed]' --pad_token _"
    )
    assert output == " ".join(given), "it runs as it was given"
