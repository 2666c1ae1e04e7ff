"""How many runs this machine has room for at once, and what each is given of it."""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass

import psutil

# On a CPU. One core a run would take twice the memory at once, and more cores share the work of a small model badly.
CORES_A_RUN = 2
# Memory kept for a run, by the most that a run has taken.
MEMORY_MARGIN = 1.2

Share = dict[str, str]  # environment variables that give a run its part of the machine


@dataclass(frozen=True)
class Room:
    """What runs can share: CPU cores, and GPUs by the names that CUDA_VISIBLE_DEVICES knows them by."""

    cores: int
    gpus: tuple[str, ...]

    @classmethod
    def here(cls) -> "Room":
        """This machine, or the part of it that this process may use."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return cls(cores, _gpus())

    def shares(self, runs: int, jobs: int | None, run_memory: int) -> list[Share]:
        """The shares of as many of `runs` as go at once: `jobs`, or, without a number, what there is room for.

        That is one a GPU. On a CPU it is one at first, and, once it is known how much memory a run takes (`run_memory`,
        bytes, 0 for unknown), as many as cores and free memory allow. A single run on a CPU, or where one job is asked
        for, has the whole machine.
        """
        if jobs == 1:
            return [{}]
        count = min(runs, jobs or len(self.gpus) or self._runs_on_cpu(run_memory))
        if count == 1 and not self.gpus:
            return [{}]
        threads = str(max(1, self.cores // count))
        shares = [{"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)} for _ in range(count)]
        if self.gpus:
            for i, share in enumerate(shares):
                share["CUDA_VISIBLE_DEVICES"] = self.gpus[i % len(self.gpus)]
        return shares

    def _runs_on_cpu(self, run_memory: int) -> int:
        if not run_memory:
            return 1
        in_memory = int(psutil.virtual_memory().available / (MEMORY_MARGIN * run_memory))
        return max(1, min(self.cores // CORES_A_RUN, in_memory))


def largest_run() -> int:
    """The bytes of memory that the largest process among all ended children had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    if shutil.which("nvidia-smi") is None:
        return ()
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    names = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(i) for i in range(len(names)))
