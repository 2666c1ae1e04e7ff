"""Running an ablation on this machine."""

import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm2comp.sweeps.ablation import Ablation
from llm2comp.sweeps.planned_run import PlannedRun
from llm2comp.sweeps.progress import AblationProgress
from llm2comp.sweeps.room import Room, Share, largest_run
from llm2comp.sweeps.run_process import RunProcess

POLL_EVERY = 0.2  # seconds


@dataclass(frozen=True)
class Failure:
    """A run that ended without results, and its exit status."""

    run: PlannedRun
    status: int


class Runner:
    """Runs what of an ablation is not finished, some runs at once.

    A run is finished when it has its results. One that was interrupted goes on from its last checkpoint. One that fails
    does not keep the others from running. One that another process is at, be it what a killed runner leaves behind for
    a moment or another runner, comes last, when that process has ended.
    """

    def __init__(self, ablation: Ablation, room: Room, jobs: int | None, progress: AblationProgress) -> None:
        self.ablation = ablation
        self.room = room
        self.jobs = jobs
        self.progress = progress
        self._waiting = deque(run for run in ablation.runs if not run.finished)
        self._running: list[tuple[RunProcess, Share]] = []
        self._failures: list[Failure] = []
        self._at_once = 0
        self._free: list[Share] = []  # parts of the machine that no run has
        self._share_out(run_memory=0)

    def run(self) -> Sequence[Failure]:
        """Run all that is not finished and return what failed.

        Interrupted, by Ctrl-C or an error, it has the running ones save where they are and waits for them; a second
        Ctrl-C ends them at once.

        Raises:
            UserError: an experiment of the ablation is no longer what it was.
        """
        try:
            with self.progress:
                while self._waiting or self._running:
                    self._start()
                    self._collect()
                    running = [process for process, _ in self._running]
                    self.progress.update(running, len(self._waiting), self._at_once)
                    time.sleep(POLL_EVERY)
        finally:
            self._stop()
        return self._failures

    def _start(self) -> None:
        for _ in range(len(self._waiting)):
            if not self._free:
                return
            self.ablation.check_experiments()
            run = self._waiting.popleft()
            process = RunProcess.start(run, {**self._environment(), **self._free[0]})
            if process is not None:
                self._running.append((process, self._free.pop(0)))
                self.progress.started(process)
            elif run.finished:
                self.progress.done()
            else:
                self._waiting.append(run)
        if self._waiting and not self._running:
            self.progress.waits([run.name for run in self._waiting])

    def _environment(self) -> dict[str, str]:
        """Of all runs: the programs beside this Python come first, as in an activated virtual environment."""
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        kept = {name: value for name, value in os.environ.items() if name != "LLM2COMP_RUN"}
        return {**kept, "PATH": programs, "LLM2COMP_SWEEP": self.ablation.sweep.name}

    def _collect(self) -> None:
        for process, share in list(self._running):
            status = process.poll()
            if status is None:
                continue
            self._running.remove((process, share))
            self._free.append(share)
            if process.run.finished:
                self.progress.ended(process, finished=True)
                if self._at_once == 1:
                    self._share_out(run_memory=largest_run())
            else:
                self._failures.append(Failure(process.run, status))
                self.progress.ended(process, finished=False)

    def _share_out(self, run_memory: int) -> None:
        self._free = self.room.shares(max(1, len(self._waiting)), self.jobs, run_memory)
        self._at_once = len(self._free)

    def _stop(self) -> None:
        processes = [process for process, _ in self._running]
        if not processes:
            return
        self.progress.say(f"Stopping; {len(processes)} running save where they are. Ctrl-C again ends them at once.")
        try:
            for process in processes:
                process.interrupt()
            for process in processes:
                process.wait()
        finally:
            for process in processes:
                process.kill()
                process.wait()
