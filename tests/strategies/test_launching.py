"""`llm2comp fit` on two processes that Lightning or torchrun starts: what it leaves, and how it ends when one fails."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from llm2comp.reporting.metrics_file import read_metrics
from tests.strategies.processes import free_port
from tests.strategies.runs import write_corpus, write_lm

ROOT = Path(__file__).parents[2]
# Of process FAIL, the training step number 3 raises; process DIE is killed in it. With DIE_IN_SAVE, the first process
# is killed when half of last.ckpt is written at step 6.
SCRIPT = """
import os
import signal
from pathlib import Path
import torch
from llm2comp.cli import main
from llm2comp.modules import EncoderTraining

step, save = EncoderTraining.training_step, torch.save

def failing(self, batch, batch_idx):
    if self.trainer.global_step == 3:
        rank = str(self.trainer.global_rank)
        if rank in (os.environ.get("FAIL"), os.environ.get("DIE")):
            Path("fault").touch()
        if rank == os.environ.get("FAIL"):
            raise RuntimeError("a fault of this process alone")
        if rank == os.environ.get("DIE"):
            os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, batch_idx)

def dying(checkpoint, file, *args, **options):
    if checkpoint["global_step"] == 6 and ".last.ckpt" in str(getattr(file, "name", "")):
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(checkpoint, file, *args, **options)

EncoderTraining.training_step = failing
if "DIE_IN_SAVE" in os.environ:
    torch.save = dying
main()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A run of a tiny model in a process of its own, which may start another."""
    (corpus, _), lm = write_corpus(tmp_path), write_lm(tmp_path)
    script = tmp_path / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "LLM2COMP_", "MASTER"))}
    options = {
        **{"model.encoder": lm, "model.max_length": 64, "model.dtype": "float32", "model.num_memory_tokens": 3},
        **{"model.lora.dropout": 0, "data.train": corpus, "data.min_characters": 10, "data.max_tokens": 56},
        **{"data.token_budget": "null", "data.batch_size": 6, "trainer.accelerator": "cpu", "trainer.max_steps": 12},
        **{"trainer.val_check_interval": 6, "trainer.log_every_n_steps": 1, "checkpoint_every": 3},
        **{"trainer.num_sanity_val_steps": 0, "trainer.devices": 2},
    }

    def run(run: str, *more: str, launcher: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
        named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        config = str(ROOT / "experiments" / "pretrain_compress.yaml")
        return subprocess.Popen(
            [sys.executable, *launcher, str(script), "fit", "--config", config, *named, *more],
            cwd=tmp_path,
            env={**kept, "LLM2COMP_RUN": run, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def errors(process: subprocess.Popen[str], timeout: float = 150) -> str:
    try:
        return process.communicate(timeout=timeout)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        losses = read_metrics(folder / "metrics.csv").get("train/loss", []) if (folder / "metrics.csv").exists() else []
        if losses and losses[-1][0] >= step:
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not seen: {errors(process, 5)}")


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def torchrun() -> list[str]:
    """What docs/scaling.md starts on each machine, here one of two processes."""
    rendezvous = ["--rdzv_backend", "c10d", "--rdzv_endpoint", f"127.0.0.1:{free_port()}"]
    return ["-m", "torch.distributed.run", "--nnodes", "1", "--nproc_per_node", "2", *rendezvous]


def run_folder(tmp_path: Path, run: str) -> Path:
    return tmp_path / "lightning_logs" / "pretrain_compress" / run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kills processes by what /proc says of them")
def test_a_sharded_run_that_is_killed_goes_on_in_one_process(start: Start, tmp_path: Path) -> None:
    long = ["--trainer.max_steps", "40", "--trainer.val_check_interval", "20"]
    killed = start("killed", *long, "--trainer.strategy", "fsdp2")
    wait_for_step(killed, run_folder(tmp_path, "killed"), 8)
    others = children(killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in others):
        assert time.monotonic() < deadline, "the other process goes on"
        time.sleep(0.1)
    last = run_folder(tmp_path, "killed") / "checkpoints" / "last.ckpt"
    assert 6 <= torch.load(last, weights_only=True)["global_step"] < 40

    resumed = start("killed", *long, "--trainer.devices", "1", "--ckpt_path", "last")
    straight = start("straight", *long, "--trainer.strategy", "ddp")
    for process in (resumed, straight):
        said = errors(process)
        assert process.returncode == 0, said
    seen, expected = (read_metrics(run_folder(tmp_path, run) / "metrics.csv") for run in ("killed", "straight"))
    assert [step for step, _ in seen["train/loss"]] == list(range(40))
    for (_, here), (_, there) in zip(seen["train/loss"], expected["train/loss"], strict=True):
        assert here == pytest.approx(there, rel=1e-2)  # forty steps for rounding to grow in
    weights, others_weights = (
        load_file(run_folder(tmp_path, run) / "encoder" / "model.safetensors") for run in ("killed", "straight")
    )
    torch.testing.assert_close(weights, others_weights, rtol=0, atol=1e-2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the second process ends with the first on Linux only")
def test_a_run_that_is_killed_in_mid_save_goes_on_from_the_checkpoint_before(start: Start, tmp_path: Path) -> None:
    checkpoints = run_folder(tmp_path, "a") / "checkpoints"
    killed = start("a", "--trainer.strategy", "fsdp2", "--keep_checkpoints", "2", DIE_IN_SAVE="1")
    said = errors(killed)
    assert killed.returncode == -signal.SIGKILL, said
    assert (checkpoints / ".last.ckpt.tmp").read_bytes() == b"half of it"
    assert torch.load(checkpoints / "last.ckpt", weights_only=True)["global_step"] == 3
    assert {path.name for path in checkpoints.glob("step=*")} == {"step=3.ckpt", "step=6.ckpt"}

    resumed = start("a", "--keep_checkpoints", "2", "--ckpt_path", "last")
    said = errors(resumed)
    assert resumed.returncode == 0, said
    kept = ["step=9.ckpt", "step=12.ckpt"]
    assert {path.name for path in checkpoints.iterdir()} == {"last.ckpt", "best.ckpt", *kept}
    losses = read_metrics(run_folder(tmp_path, "a") / "metrics.csv")["train/loss"]
    assert [step for step, _ in losses] == list(range(12))
    last, newest = (torch.load(checkpoints / name, weights_only=True) for name in ("last.ckpt", "step=12.ckpt"))
    torch.testing.assert_close(newest["state_dict"], last["state_dict"], rtol=0, atol=0)


@pytest.mark.slow
def test_a_sharded_run_exports_the_encoder_of_its_best_checkpoint(start: Start, tmp_path: Path) -> None:
    """And keeps others on its way; torchrun starts it."""
    for run, strategy, launcher in (("whole", "ddp", []), ("sharded", "fsdp2", torchrun())):
        process = start(run, "--trainer.strategy", strategy, "--keep_checkpoints", "all", launcher=launcher)
        said = errors(process)
        assert process.returncode == 0, said
    names = {"last.ckpt", "best.ckpt", *(f"step={step}.ckpt" for step in (3, 6, 9, 12))}
    folder, other = (run_folder(tmp_path, run) for run in ("sharded", "whole"))
    assert {path.name for path in (folder / "checkpoints").iterdir()} == names
    for name in names - {"best.ckpt"}:
        here, there = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (folder, other))
        torch.testing.assert_close(here["state_dict"], there["state_dict"], rtol=0, atol=1e-4)
    metrics, others = (read_metrics(run / "metrics.csv") for run in (folder, other))
    for name in ("train/loss", "val/loss", "val/context_recovered", "val/retrieval_mrr"):
        assert dict(metrics[name]) == pytest.approx(dict(others[name]), rel=1e-3, abs=1e-3)
    weights, expected = (load_file(run / "encoder" / "model.safetensors") for run in (folder, other))
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "strategy", "launcher", "message"),
    [
        ({"FAIL": "0"}, "fsdp2", list, "RuntimeError: a fault of this process alone"),
        ({"FAIL": "1"}, "ddp", list, "RuntimeError: a fault of this process alone"),
        ({"FAIL": "1"}, "fsdp2", torchrun, "RuntimeError: a fault of this process alone"),
        ({"DIE": "1"}, "fsdp2", list, "remote worker|terminated with code -9"),
    ],
    ids=["first of fsdp2", "second of ddp", "second of fsdp2 under torchrun", "killed"],
)
def test_all_stop_within_a_minute_with_the_error_of_the_one_that_fails(
    start: Start,
    tmp_path: Path,
    fault: dict[str, str],
    strategy: str,
    launcher: Callable[[], list[str]],
    message: str,
) -> None:
    process = start("a", "--trainer.strategy", strategy, launcher=launcher(), **fault)
    said = errors(process)  # until no process is left that could write
    assert time.time() - (tmp_path / "fault").stat().st_mtime < 60
    assert process.returncode != 0
    assert re.search(message, said)


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused_in_one_line(start: Start) -> None:
    process = start("a", "--data.batch_size", "7")
    said = errors(process, 100)
    assert process.returncode in (2, -signal.SIGKILL)
    assert "llm2comp: error: batch_size 7 cannot be shared evenly by 2 processes: set it to 6 or 8" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_port_in_use_is_refused_in_one_line(start: Start) -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("", port))
        taken.listen()
        process = start("a", MASTER_PORT=str(port))
        said = errors(process, 100)
    assert process.returncode == 2
    assert f"llm2comp: error: port {port} of this machine cannot be listened at" in said
    assert "set MASTER_PORT to another" in said
    assert "Traceback" not in said
