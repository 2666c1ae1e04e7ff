"""The process between runner and run: exit statuses, and programs that are not there."""

import subprocess
import sys

import pytest

KEEPER = [sys.executable, "-m", "llm2comp.sweeps.keeper"]


@pytest.mark.parametrize(
    ("program", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)],
)
def test_the_exit_status_is_that_of_the_command(program: str, status: int):
    with subprocess.Popen([*KEEPER, "sh", "-c", program], stdin=subprocess.PIPE) as keeper:
        assert keeper.wait(timeout=30) == status


def test_a_command_that_is_not_there_is_named():
    with subprocess.Popen([*KEEPER, "no-such-program"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as keeper:
        assert keeper.stderr is not None
        assert keeper.stderr.read() == b"cannot start no-such-program: No such file or directory\n"
        assert keeper.wait(timeout=30) == 127


def test_what_the_command_leaves_running_ends_with_it():
    # `sleep` has the pipe too: what is read from it ends only when both have.
    command = [*KEEPER, "sh", "-c", "sleep 100 & echo done"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.read() == b"done\n"
        assert keeper.wait(timeout=30) == 0
