"""A run of an ablation as its folder shows it."""

from dataclasses import dataclass
from pathlib import Path

from llm2comp.reporting.run_folder import LOG, RunFolder


@dataclass(frozen=True)
class PlannedRun:
    """The command of a run, without what tells it to go on, and the folder that it fills."""

    folder: RunFolder
    command: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.folder.run

    @property
    def log(self) -> Path:
        return self.folder.path / LOG

    @property
    def finished(self) -> bool:
        """Whether it has its results: they are written last."""
        return self.folder.results.is_file()
