"""A checkpoint is whole or not there, and it is data only."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from llm2comp.errors import UserError
from llm2comp.modules import checkpoint_io
from llm2comp.modules.checkpoint_io import AtomicCheckpointIO

OLD = {"state_dict": {"weight": torch.arange(1000.0)}, "global_step": 1}


def large() -> dict:
    return {"state_dict": {str(i): torch.ones(100_000) for i in range(4)}, "global_step": 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(OLD, path)
    return path


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """Let the kernel refuse to write more than 200 kB into a file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def assert_old_and_alone(path: Path) -> None:
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert loaded["global_step"] == 1
    assert torch.equal(loaded["state_dict"]["weight"], OLD["state_dict"]["weight"])  # type: ignore[index]
    assert os.listdir(path.parent) == [path.name]


def test_a_save_replaces_the_checkpoint(path: Path):
    AtomicCheckpointIO().save_checkpoint(large(), path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert loaded["global_step"] == 2
    assert torch.equal(loaded["state_dict"]["3"], torch.ones(100_000))
    assert os.listdir(path.parent) == [path.name]


def test_a_write_that_the_kernel_refuses_keeps_the_previous_one(path: Path, file_size_limit: None):
    with pytest.raises(UserError, match=f"could not write the checkpoint {path}: File too large; the previous"):
        AtomicCheckpointIO().save_checkpoint(large(), path)
    assert_old_and_alone(path)


@pytest.mark.parametrize("written", [0, 700, 250_000])
def test_a_full_disk_keeps_the_previous_one(path: Path, monkeypatch: pytest.MonkeyPatch, written: int):
    save = torch.save

    def save_until_full(checkpoint: dict, file) -> None:
        room = written

        class Disk:
            def write(self, data) -> int:
                nonlocal room
                if (room := room - len(memoryview(data).cast("B"))) < 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return file.write(data)

            def flush(self) -> None:
                file.flush()

        save(checkpoint, Disk())

    monkeypatch.setattr(checkpoint_io.torch, "save", save_until_full)
    with pytest.raises(UserError, match="No space left on device; the previous checkpoint there is whole"):
        AtomicCheckpointIO().save_checkpoint(large(), path)
    assert_old_and_alone(path)


def test_a_first_save_that_fails_promises_no_previous_one(tmp_path: Path):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="could not write the checkpoint") as error:
        AtomicCheckpointIO().save_checkpoint(OLD, tmp_path / "checkpoints" / "last.ckpt")
    assert "previous" not in str(error.value)


def test_sigkill_in_mid_save_keeps_the_previous_one(path: Path):
    script = """
import os, signal, sys, torch
from llm2comp.modules import checkpoint_io

def save_half(checkpoint, file):
    file.write(b"half of it")
    file.flush()
    print(os.listdir(os.path.dirname(sys.argv[1])), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

checkpoint_io.torch.save = save_half
checkpoint_io.AtomicCheckpointIO().save_checkpoint({"global_step": 2}, sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert "tmp" in killed.stdout
    assert AtomicCheckpointIO().load_checkpoint(path)["global_step"] == 1
    # What the killed process left goes with the next save.
    AtomicCheckpointIO().save_checkpoint(OLD, path)
    assert_old_and_alone(path)


class Unsafe:
    pass


def test_objects_are_refused_when_saved(path: Path):
    with pytest.raises(TypeError, match=r"test_checkpoint_io\.Unsafe"):
        AtomicCheckpointIO().save_checkpoint({"hyper_parameters": Unsafe()}, path)
    assert_old_and_alone(path)


def test_objects_are_refused_when_loaded_even_if_asked_for(tmp_path: Path):
    path = tmp_path / "foreign.ckpt"
    torch.save({"hyper_parameters": Unsafe()}, path)
    with pytest.raises(UserError, match=r"foreign\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


@pytest.mark.parametrize("kept", [0, 10, 2000])
def test_a_truncated_file_is_named(path: Path, kept: int):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=f"could not read the checkpoint {path}: .+ choose another"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=f"there is no checkpoint {tmp_path}/none.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "none.ckpt")
