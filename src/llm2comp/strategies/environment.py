"""What is wrong with the processes of a run, found before any of them waits for another."""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from llm2comp.errors import UserError

_INTERACTIVE = ("bash", "interactive")  # SLURM jobs in which a person starts the processes
_PR_SET_PDEATHSIG = 1  # prctl: the signal that a process gets when the one that started it ends


def check_processes(devices: Any, num_nodes: int) -> None:
    """Raise UserError, in one line, unless what has started this process started as many as the Trainer counts on.

    `devices`, `num_nodes`: as the Trainer's. Also where the port that processes meet at is taken.
    """
    environment = os.environ
    per_node = devices if isinstance(devices, int) else int(devices) if str(devices).isdigit() else None
    if per_node is not None and per_node > 0:
        _check_counts(environment, per_node, num_nodes)
    _check_port(environment)


def end_with_launcher() -> None:
    """Let a process that Lightning has started on this machine end when the one that started it does.

    Otherwise one whose first process is killed waits for it in a collective until that times out. Linux only.
    """
    ours = int(os.environ.get("LOCAL_RANK", 0)) > 0 and not _started_by_cluster(os.environ)
    if ours and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _check_counts(environment: Mapping[str, str], per_node: int, num_nodes: int) -> None:
    wanted = per_node * num_nodes
    asked = f"trainer.devices {per_node} x trainer.num_nodes {num_nodes}"
    if "TORCHELASTIC_RUN_ID" in environment and int(environment["WORLD_SIZE"]) != wanted:
        raise UserError(
            f"torchrun has started {environment['WORLD_SIZE']} processes for {asked}: give it --nproc_per_node "
            f"{per_node} --nnodes {num_nodes}, or set trainer.devices and trainer.num_nodes to what it starts"
        )
    tasks = None if environment.get("SLURM_JOB_NAME") in _INTERACTIVE else environment.get("SLURM_NTASKS")
    if tasks is not None and int(tasks) != wanted:
        raise UserError(
            f"srun has started {tasks} tasks for {asked}: ask for --nodes={num_nodes} --ntasks-per-node={per_node}, or "
            "set trainer.devices and trainer.num_nodes to what it starts"
        )


def _check_port(environment: Mapping[str, str]) -> None:
    port = environment.get("MASTER_PORT")
    # torchrun listens there itself, before it starts any process.
    if port is None or "TORCHELASTIC_RUN_ID" in environment or not _is_first(environment):
        return
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch does
        try:
            listener.bind(("", int(port)))
        except (OSError, OverflowError) as error:
            raise UserError(
                f"port {port} of this machine cannot be listened at ({error}): set MASTER_PORT to another"
            ) from error


def _is_first(environment: Mapping[str, str]) -> bool:
    return all(int(environment.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def _started_by_cluster(environment: Mapping[str, str]) -> bool:
    return "TORCHELASTIC_RUN_ID" in environment or "SLURM_PROCID" in environment
