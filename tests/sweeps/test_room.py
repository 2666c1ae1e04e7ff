"""Runs share the machine: one a GPU, and on a CPU as cores and memory allow."""

from types import SimpleNamespace

import pytest

from llm2comp.sweeps.room import Room

GIB = 2**30


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch):
    """64 GiB are free, and nothing says how many threads to use."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=64 * GIB))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def threads(count: int, each: int) -> list[dict[str, str]]:
    return [{"OMP_NUM_THREADS": str(each)}] * count


@pytest.mark.parametrize(
    ("cores", "runs", "jobs", "run_memory", "shares"),
    [
        (16, 12, None, 0, [{}]),  # nothing is known yet
        (16, 12, None, 4 * GIB, threads(8, 2)),  # two cores a run
        (16, 3, None, 4 * GIB, threads(3, 5)),  # no more than there are
        (16, 12, None, 16 * GIB, threads(3, 5)),  # memory for three
        (16, 12, None, 100 * GIB, [{}]),
        (2, 12, None, 4 * GIB, [{}]),
        (16, 12, 4, 0, threads(4, 4)),  # as asked for
        (2, 12, 4, 0, threads(4, 1)),
        (16, 12, 1, 4 * GIB, [{}]),
    ],
)
def test_on_a_cpu(cores: int, runs: int, jobs: int | None, run_memory: int, shares: list[dict[str, str]]):
    assert Room(cores, ()).shares(runs, jobs, run_memory) == shares


def test_on_gpus():
    room = Room(16, ("0", "1"))
    one, two = ({"OMP_NUM_THREADS": "8", "CUDA_VISIBLE_DEVICES": name} for name in ("0", "1"))
    assert room.shares(12, None, 0) == [one, two]
    assert room.shares(1, None, 0) == [{"OMP_NUM_THREADS": "16", "CUDA_VISIBLE_DEVICES": "0"}]
    assert room.shares(12, 1, 0) == [{}]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in room.shares(12, 5, 0)] == ["0", "1", "0", "1", "0"]


def test_a_number_of_threads_that_was_asked_for_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert Room(16, ()).shares(12, 4, 0) == threads(4, 3)


@pytest.mark.parametrize(("visible", "gpus"), [("", ()), ("-1", ()), ("2, GPU-5f", ("2", "GPU-5f"))])
def test_only_visible_gpus_count(monkeypatch: pytest.MonkeyPatch, visible: str, gpus: tuple[str, ...]):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert Room.here().gpus == gpus


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g Device 0: (UUID: MIG-2)'\necho 'GPU 1: A'\n"
    )
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert Room.here().gpus == ("0", "1")
    assert Room.here().cores >= 1
