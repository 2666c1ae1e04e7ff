"""Timing contestants side by side, and what each needs of memory in a process of its own."""

import ctypes.util
import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from tqdm.auto import tqdm

# Does its work once and returns the seconds that took.
Contestant = Callable[[], float]

# Imported before a fresh process is forked, so that what they take is not counted as a contestant's.
PRELOADED = ("torch", "transformers", "peft", "sentence_transformers", "llm2comp.modules.encoder_training")

# Lets glibc's malloc give all but small memory back at once, so that resident memory is memory in use.
RETURNED = {"MALLOC_MMAP_THRESHOLD_": str(2**21)}


@dataclass(frozen=True)
class Ratio:
    """A ratio taken in each of several rounds: its median, and the least and greatest."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, above: Sequence[float], below: Sequence[float]) -> "Ratio":
        """above / below, round by round: what slows a whole round down does not count."""
        ratios = [a / b for a, b in zip(above, below, strict=True)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))


@dataclass(frozen=True)
class Alone:
    """A contestant in a process of its own: the seconds of each run, and bytes beyond what the imports take.

    `held`: before the first run, weights mostly; `peak`: the most there were in any run.
    """

    seconds: list[float]
    held: int
    peak: int


def timed(work: Callable[[], Any]) -> Contestant:
    """`work` as a contestant, timed from its start until the GPU, where there is one, is done with it."""

    def run() -> float:
        _synchronize()
        started = time.perf_counter()
        work()
        _synchronize()
        return time.perf_counter() - started

    return run


def interleaved(
    contestants: Mapping[str, Contestant], rounds: int, what: str = "", warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of each contestant in each round; every other round runs backwards.

    `warm_up`: first a round that does not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    rounds += warm_up
    with tqdm(total=rounds * len(contestants), desc=what, unit="run", delay=5) as bar:
        for number in range(rounds):
            for name in list(contestants)[:: -1 if number % 2 else 1]:
                gc.collect()
                taken = contestants[name]()
                if number or not warm_up:
                    seconds[name].append(taken)
                bar.update()
    return seconds


def fastest(contestants: Mapping[str, Contestant]) -> str:
    """The name of the one that takes the least time, each run once after a run that does not count."""
    next(iter(contestants.values()))()
    return min(contestants, key=lambda name: contestants[name]())


def alone(build: Callable[..., Contestant], *arguments: Any, runs: int = 2) -> Alone:
    """A contestant built and run in a process that has imported the libraries and done nothing else.

    Memory is the device's on a GPU, else resident memory as Linux's /proc has it, without what malloc keeps of memory
    that was given back. `build` is a function of a module, and its arguments can be pickled.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with mock.patch.dict(os.environ, RETURNED), ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_alone, build, arguments, runs).result()


def mallocs() -> dict[str, str]:
    """What allocates memory on a CPU, by name, as LD_PRELOAD takes it: the system's, and tcmalloc where installed."""
    found = None if torch.cuda.is_available() else ctypes.util.find_library("tcmalloc_minimal")
    return {"system's malloc": "", **({"tcmalloc": found} if found else {})}


@contextmanager
def in_own_process(preload: str, build: Callable[..., Contestant], *arguments: Any) -> Iterator[Contestant]:
    """A contestant built and run in a process in which `preload` allocates memory, and nobody else does.

    `build` is a function of a module, and its arguments can be pickled.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with mock.patch.dict(os.environ, LD_PRELOAD=preload):
            pool.submit(_build_here, build, arguments).result()
        yield lambda: pool.submit(_run_here).result()


_built: list[Contestant] = []


def _build_here(build: Callable[..., Contestant], arguments: Sequence[Any]) -> None:
    _built.append(build(*arguments))


def _run_here() -> float:
    gc.collect()
    return _built[0]()


def _alone(build: Callable[..., Contestant], arguments: Sequence[Any], runs: int) -> Alone:
    before = _taken("VmRSS")
    contestant = build(*arguments)
    gc.collect()
    held = _taken("VmRSS") - before
    _forget_peak()
    seconds = [contestant() for _ in range(runs)]
    return Alone(seconds, held, _taken("VmHWM") - before)


def _taken(field: str) -> int:
    """Bytes in use ("VmRSS"), or the most there were ("VmHWM")."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() if field == "VmRSS" else torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def _forget_peak() -> None:
    """Let the peak start from what is in use now, so that what only loading took does not count."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
