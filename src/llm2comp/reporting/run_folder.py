"""Where a run keeps what it writes, and how to find it again."""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llm2comp.errors import UserError, unknown

# What a run has printed, where what started it keeps that; it may be there before the run.
LOG = "log.txt"


@dataclass(frozen=True)
class RunFolder:
    """The folder `<root>/<experiment>/<run>` and the names of what lies in it."""

    root: Path
    experiment: str
    run: str

    def __post_init__(self) -> None:
        for kind, name in (("experiment", self.experiment), ("run", self.run)):
            if name in ("", ".", "..") or set(name) & set("/\\"):
                raise UserError(f"an {kind} cannot be named {name!r}: it names a folder below {self.root}")

    @property
    def path(self) -> Path:
        return self.root / self.experiment / self.run

    @property
    def name(self) -> str:
        return f"{self.experiment}/{self.run}"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def encoder(self) -> Path:
        return self.path / "encoder"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def curves(self) -> Path:
        return self.path / "curves.png"

    @classmethod
    def new(cls, root: str | Path, experiment: str, run: str | None = None) -> "RunFolder":
        """The folder of a run that starts now; it is not made yet.

        The run is named `run`, else `LLM2COMP_RUN`, by which the processes of one run agree, else by the time, as in
        `2025-11-28_14-03-59`.

        Raises:
            UserError: the folder exists and holds something, a name is not a folder's, or a process among several
                was given no name.
        """
        folder = cls(Path(root), experiment, run or os.environ.get("LLM2COMP_RUN") or _time_name())
        # The other processes of a run come to a folder that the first has begun to fill.
        if _is_first_process() and folder.path.is_dir() and any(path.name != LOG for path in folder.path.iterdir()):
            resume = "; or resume that run with --ckpt_path last" if folder.last_checkpoint.is_file() else ""
            raise UserError(
                f"the run folder {folder.path} exists and is not empty; choose another run name, or none{resume}"
            )
        return folder

    @classmethod
    def newest(
        cls, root: str | Path, experiment: str | None = None, having: str = "checkpoints/last.ckpt"
    ) -> "RunFolder":
        """The run, of `experiment` or of all, whose file `having` was written last.

        Raises:
            UserError: no run has that file, or there is no such experiment.
        """
        root = Path(root)
        experiments = {folder.experiment for folder in cls.all(root)}
        if experiments and experiment and experiment not in experiments:
            raise unknown(f"experiment in {root}", experiment, experiments)
        runs = [run for run in cls.all(root, experiment) if (run.path / having).exists()]
        if not runs:
            raise UserError(f"no run to be found: looked for {root / (experiment or '*') / '*' / having}")
        return max(runs, key=lambda run: (run.path / having).stat().st_mtime_ns)

    @classmethod
    def all(cls, root: str | Path, experiment: str | None = None) -> "list[RunFolder]":
        """All runs of `experiment`, or of all experiments, by name."""
        folders = sorted(folder for folder in Path(root).glob("*/*") if folder.is_dir())
        runs = [cls(Path(root), folder.parent.name, folder.name) for folder in folders]
        return [run for run in runs if experiment in (None, run.experiment)]


def _time_name() -> str:
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise UserError("this is one process of several, which must agree on the run: set LLM2COMP_RUN to its name")
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def _is_first_process() -> bool:
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))
