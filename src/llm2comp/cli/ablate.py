"""`llm2comp ablate`: run the sweeps of experiments/sweeps on this machine."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser
from rich.console import Console
from rich.text import Text

from llm2comp.errors import UserError
from llm2comp.sweeps.ablation import Ablation
from llm2comp.sweeps.progress import AblationProgress
from llm2comp.sweeps.room import Room
from llm2comp.sweeps.run_process import log_end
from llm2comp.sweeps.runner import Failure, Runner
from llm2comp.sweeps.sweep import Sweep

LOG_LINES = 10  # of a failed run


def main(arguments: list[str]) -> None:
    """Run what of a sweep is not finished; exit with 1 if a run failed and with 130 after Ctrl-C."""
    ours, for_runs = _divide(arguments[1:])
    options = _parser().parse_args(ours)
    jobs = _jobs(options.jobs)
    sweep = Sweep.find(options.sweep)
    ablation = Ablation((sweep.renamed(options.name) if options.name else sweep).with_options(for_runs), options.root)
    ablation.begin()
    runs = ablation.runs
    finished = sum(run.finished for run in runs)
    console = Console(stderr=True)
    console.print(
        Text(f"{sweep.description}\n{len(runs)} runs in {ablation.path}, {finished} finished before"), soft_wrap=True
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's request to end, like Ctrl-C
    runner = Runner(ablation, Room.here(), jobs, AblationProgress(len(runs), finished, console))
    try:
        failures = runner.run()
    except KeyboardInterrupt:
        console.print("Stopped. To go on: the same command")
        sys.exit(130)
    if failures:
        console.print(Text(_report(failures, len(runs))), soft_wrap=True)
        sys.exit(1)
    done = f"All {len(runs)} runs are finished: {ablation.path}. To compare them: llm2comp dashboard"
    console.print(Text(done), soft_wrap=True)


def _divide(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what comes after `--`, for the runs."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return list(arguments[:place]), list(arguments[place + 1 :])


def _report(failures: Sequence[Failure], count: int) -> str:
    """What failed, and how each ended."""
    lines = []
    for failure in failures:
        lines += ["", f"{failure.run.name} failed (exit status {failure.status}, no results.json): {failure.run.log}"]
        lines += [f"  {line}" for line in log_end(failure.run, LOG_LINES)]
    return "\n".join(
        [*lines, "", f"{len(failures)} of {count} runs failed. The same command tries them again, and only them."]
    )


def _jobs(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"--jobs must be auto or a number of runs at once, not {text!r}")
    return int(text)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="llm2comp ablate",
        usage="llm2comp ablate SWEEP [--jobs N] [--name NAME] [--root ROOT] [-- OPTIONS OF llm2comp fit]",
        description="Run a sweep on this machine, with no account. What is finished is not run again, and what was "
        "interrupted goes on. Options after -- hold for every run, as in: -- --trainer.max_steps 20",
    )
    parser.add_argument("sweep", type=str, help="A name in experiments/sweeps, or a file in W&B's sweep format.")
    parser.add_argument(
        "--jobs",
        type=str,
        default="auto",
        metavar="N",
        help="Runs at once: auto is one a GPU, or, without one, as many as cores and memory allow; 1 "
        "gives each run the whole machine, all GPUs included.",
    )
    parser.add_argument("--name", type=str | None, default=None, help="Another name, to keep these runs apart.")
    parser.add_argument("--root", type=Path, default=Path("lightning_logs"), help="Folder of all experiments.")
    return parser
