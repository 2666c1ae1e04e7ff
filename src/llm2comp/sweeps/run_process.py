"""A run of an ablation that is running."""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from io import BufferedWriter

from llm2comp.errors import UserError
from llm2comp.reporting.scrub import scrub_command
from llm2comp.sweeps import keeper
from llm2comp.sweeps.planned_run import PlannedRun

_LOG_END = 8192  # bytes


class RunProcess:
    """The run, begun or taken up where its last checkpoint is, in processes that end when this one does.

    Its output is added to its log. As long as one of its processes has the log open, nobody else can start the run:
    a lock (`flock`) on the open file is theirs together, and goes with the last of them.
    """

    def __init__(self, run: PlannedRun, log: BufferedWriter, environment: Mapping[str, str]) -> None:
        self.run = run
        self.started = time.monotonic()
        command = [*run.command, *(["--ckpt_path", "last"] if _prepare(run) else [])]
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} $ {shlex.join(scrub_command(command))}\n".encode())
        log.flush()
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", keeper.__name__, *command],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            process_group=0,  # Ctrl-C in the terminal is the runner's to pass on
        )

    @classmethod
    def start(cls, run: PlannedRun, environment: Mapping[str, str]) -> "RunProcess | None":
        """Start the run; None where another process has it, or has finished it.

        Raises:
            UserError: the file system has no locks.
        """
        run.folder.path.mkdir(parents=True, exist_ok=True)
        with run.log.open("ab") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError as error:
                raise UserError(f"cannot lock {run.log}: {error.strerror}; put --root on a local disk") from error
            return None if run.finished else cls(run, log, environment)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def last_line(self) -> str:
        """What it said last."""
        return (log_end(self.run, 1) or [""])[0]

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._keeper.poll()

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return self._keeper.wait()

    def interrupt(self) -> None:
        """Let it save where it is, and end."""
        self._keeper.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()


def log_end(run: PlannedRun, count: int) -> list[str]:
    """The last lines of its log that are not empty."""
    with run.log.open("rb") as file:
        file.seek(max(0, run.log.stat().st_size - _LOG_END))
        lines = file.read().decode(errors="replace").splitlines()
    return [line.rstrip() for line in lines if line.strip()][-count:]


def _prepare(run: PlannedRun) -> bool:
    """Whether there is a checkpoint to go on from; what a run without one has left, but for its log, is removed."""
    if run.folder.last_checkpoint.is_file():
        return True
    for path in run.folder.path.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != run.log:
            os.unlink(path)
    return False
