"""Two processes that stay, and do one job after another together."""

import os
import socket
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import torch
import torch.multiprocessing as mp

TIMEOUT = 120  # seconds that a job may take


class Processes:
    """`world_size` processes joined by gloo, each with the environment of one that a launcher has started."""

    def __init__(self, folder: Path, world_size: int = 2) -> None:
        self.folder, self.world_size = folder, world_size
        self._start()

    def run(self, job: Callable[..., Any], *args: Any, **options: Any) -> list[Any]:
        """What each process returns of the job; raises AssertionError with what went wrong in one."""
        for pipe in self._pipes:
            pipe.send((job, args, options))
        answers = []
        for rank, pipe in enumerate(self._pipes):
            assert pipe.poll(TIMEOUT), f"process {rank} has not answered in {TIMEOUT} seconds"
            answers.append(pipe.recv())
        failed = [f"process {rank}:\n{error}" for rank, (error, _) in enumerate(answers) if error]
        if failed:
            if not all("UserError" in error for error, _ in answers):
                # What is left of a collective that not all came to would end the next job too.
                self._kill()
                self._start()
            raise AssertionError("\n".join(failed))
        return [result for _, result in answers]

    def _start(self) -> None:
        context = mp.get_context("spawn")
        pipes = [context.Pipe() for _ in range(self.world_size)]
        self._pipes = [here for here, _ in pipes]
        port = free_port()
        self._processes = [
            context.Process(target=_work, args=(there, rank, self.world_size, port, str(self.folder)), daemon=True)
            for rank, (_, there) in enumerate(pipes)
        ]
        for process in self._processes:
            process.start()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _work(pipe: Connection, rank: int, world_size: int, port: int, folder: str) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        WORLD_SIZE=str(world_size),
        LOCAL_RANK=str(rank),
        RANK=str(rank),
        NODE_RANK="0",
        DS_ACCELERATOR="cpu",
        LLM2COMP_CACHE=f"{folder}/cache",
    )
    os.environ.pop("LLM2COMP_DATA", None)
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=world_size, timeout=timedelta(seconds=TIMEOUT // 2)
    )
    while True:
        job, args, options = pipe.recv()
        try:
            answer = "", job(*args, **options)
        except Exception:
            answer = traceback.format_exc(), None
        pipe.send(answer)
