"""The process that stands between the runner of an ablation and a run: where the runner ends, so does the run.

    python -m llm2comp.sweeps.keeper COMMAND...

Standard input is a pipe that nobody writes to and whose other end the runner alone has open. It ends when the runner
does, however that comes about, a SIGKILL included; then the command and all that it has started in its process group
are killed. SIGINT is passed on to them. When the command ends, so does what it left running.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress


def keep(command: Sequence[str]) -> int:
    """Run the command in a process group of its own and return its exit status, as a shell would."""
    process: subprocess.Popen[bytes] | None = None
    early = False

    def send(number: int) -> None:
        assert process is not None
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, number)

    def interrupt(*_: object) -> None:
        nonlocal early
        if process is None:
            early = True
        else:
            send(signal.SIGINT)

    def end_with_the_runner() -> None:
        os.read(sys.stdin.fileno(), 1)
        send(signal.SIGKILL)

    signal.signal(signal.SIGINT, interrupt)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    if early:
        send(signal.SIGINT)
    threading.Thread(target=end_with_the_runner, daemon=True).start()
    status = process.wait()
    send(signal.SIGKILL)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
