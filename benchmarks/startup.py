"""How long it takes until something happens: `llm2comp --help`, the import, and the first training step.

Each command runs in a process of its own, files in the cache of the operating system. The first step is counted from
the start of `llm2comp fit` with the default experiment (validation and logging to W&B off) to the end of its first
step: imports, configuration, data from the cache, weights, one step. Beside it stands what the libraries' own imports
take.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from benchmarks.harness import Contestant, Ratio, interleaved
from benchmarks.results import Comparison, Result
from benchmarks.workbench import Workbench

ROOT = Path(__file__).parents[1]
LIBRARIES = "import torch, lightning, transformers, peft, datasets, sentence_transformers"


class StopAfterFirstStep(Callback):
    """Ends the process after the first training step, and with it whatever would follow."""

    def on_train_batch_end(self, *_: object, **__: object) -> None:
        os._exit(0)


def run(bench: Workbench) -> Result:
    """Measure all commands."""
    result = Result("startup", bench.settings())
    program = str(Path(sys.executable).with_name("llm2comp"))
    with tempfile.TemporaryDirectory() as folder:
        commands: dict[str, Sequence[str]] = {
            "python": [sys.executable, "-c", "pass"],
            "llm2comp --help": [program, "--help"],
            "import llm2comp": [sys.executable, "-c", "import llm2comp"],
            "import of the libraries": [sys.executable, "-c", LIBRARIES],
            "llm2comp fit, to its first step": [program, *_fit(bench, folder)],
        }
        contestants = {name: _contestant(command) for name, command in commands.items()}
        seconds = interleaved(contestants, bench.rounds, "start-up", warm_up=not bench.quick)
    result.seconds["start-up"] = seconds
    first_step = Ratio.of(seconds["llm2comp fit, to its first step"], seconds["import of the libraries"])
    result.comparisons.append(Comparison("first step / import of the libraries", first_step))
    help_text = Ratio.of(seconds["llm2comp --help"], seconds["import of the libraries"])
    result.comparisons.append(Comparison("llm2comp --help / import of the libraries", help_text))
    return result


def _fit(bench: Workbench, folder: str) -> list[str]:
    arguments = ["fit", "--config", str(ROOT / "experiments" / "pretrain_compress.yaml"), "--root", folder]
    arguments += ["--model.encoder", bench.model, "--data.train", bench.text, "--trainer.limit_val_batches", "0"]
    arguments += ["--trainer.logger", "false", "--trainer.enable_checkpointing", "false"]
    arguments += ["--trainer.callbacks", "benchmarks.startup.StopAfterFirstStep"]
    if bench.quick:
        arguments += ["--data.min_characters", "1"]
    return arguments


def _contestant(command: Sequence[str]) -> Contestant:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    def run_it() -> float:
        started = time.perf_counter()
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if finished.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {finished.stderr[-2000:]}")
        return seconds

    return run_it
