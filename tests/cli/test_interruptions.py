"""Runs that are killed, interrupted or run out of disk lose nothing."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llm2comp.cli import main
from llm2comp.reporting.metrics_file import read_metrics
from tests.cli.conftest import Arguments

Folder = Callable[[str], Path]
Processes = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.slow


@pytest.fixture
def start(workplace: Path, environment: dict[str, str]) -> Processes:
    """A run in a process of its own."""

    def run(arguments: list[str], **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from llm2comp.cli import main; main()", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=workplace,
            env=environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            **options,  # type: ignore[call-overload]
        )

    return run


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    """Until metrics.csv has the loss of the step."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "metrics.csv").is_file():
            losses = read_metrics(folder / "metrics.csv").get("train/loss", [])
            if losses and losses[-1][0] >= step:
                return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not seen: {process.communicate()}")


def test_a_run_that_is_killed_and_resumed_is_the_run_that_was_not(
    arguments: Arguments, run_folder: Folder, start: Processes
):
    long = arguments("--trainer.max_steps", "60", "--checkpoint_every", "7", "--trainer.val_check_interval", "20")
    straight, killed = (start([*long, "--run", run]) for run in ("straight", "killed"))
    wait_for_step(killed, run_folder("killed"), 31)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    at = torch.load(run_folder("killed") / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert 28 <= at < 60
    assert at % 7 == 0

    resumed = start([*long, "--run", "killed", "--ckpt_path", "last"])
    for process in (straight, resumed):
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "Setting accelerator to CPU" not in output + errors  # DeepSpeed, where it is installed
        assert "120 of 120 paragraphs kept" in errors
        assert "GPU available" not in errors
    expected, seen = (read_metrics(run_folder(run) / "metrics.csv") for run in ("straight", "killed"))
    assert [step for step, _ in seen["train/loss"]] == list(range(60))
    for name in ("train/loss", "train/lr", "val/loss", "val/context_recovered", "val/retrieval_mrr"):
        assert seen[name] == expected[name]
    (record,) = (run_folder("straight") / "wandb").glob("offline-run-*/*.wandb")
    assert b'"class_path":"llm2comp.objectives.Distillation"' in record.read_bytes().replace(b": ", b":")
    assert len(list((run_folder("killed") / "wandb").glob("offline-run-*/*.wandb"))) == 2
    weights, others = (load_file(run_folder(run) / "encoder" / "model.safetensors") for run in ("straight", "killed"))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_ctrl_c_saves_and_says_how_to_go_on(arguments: Arguments, run_folder: Folder, start: Processes):
    long = arguments("--run", "a", "--trainer.max_steps", "2000", "--checkpoint_every", "1000")
    process = start([*long, "--trainer.val_check_interval", "1000"])
    wait_for_step(process, run_folder("a"), 4)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "Stopped; pretrain_compress/a is saved. To go on: the same command with --ckpt_path last" in errors
    step = torch.load(run_folder("a") / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert step >= 5
    main([*long, "--ckpt_path", "last", "--trainer.max_steps", str(step + 2)])
    saved = torch.load(run_folder("a") / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == step + 2
    assert [s for s, _ in read_metrics(run_folder("a") / "metrics.csv")["train/lr"]][-2:] == [step, step + 1]


def test_a_full_disk_leaves_the_previous_checkpoint_whole(arguments: Arguments, run_folder: Folder, start: Processes):
    main(arguments("--run", "a", "--trainer.max_steps", "2", "--trainer.logger", "false"))
    checkpoint = run_folder("a") / "checkpoints" / "last.ckpt"
    before = checkpoint.read_bytes()
    limit = len(before) // 2

    process = start(
        arguments("--run", "a", "--ckpt_path", "last", "--trainer.logger", "false"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert errors.count("llm2comp: error: could not write the checkpoint") == 1
    assert "the previous checkpoint there is whole" in errors
    assert "Traceback" not in errors
    assert checkpoint.read_bytes() == before
    assert {path.name for path in checkpoint.parent.iterdir()} == {"last.ckpt", "best.ckpt"}
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2
