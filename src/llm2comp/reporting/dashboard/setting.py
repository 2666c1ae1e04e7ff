"""A setting of an ablation: one combination of values, with runs that tried it."""

from dataclasses import dataclass, replace
from typing import Any

from llm2comp.reporting.dashboard.run import Run


@dataclass(frozen=True)
class Setting:
    """The `values` of the swept parameters in order, how they read, one by one and as a `label`, and the `runs`."""

    values: tuple[Any, ...]
    texts: tuple[str, ...]
    label: str
    runs: tuple[Run, ...] = ()

    def samples(self, metric: str) -> list[float]:
        """The metric of each run that has it."""
        return [run.measured[metric] for run in self.runs if metric in run.measured]

    def with_run(self, run: Run) -> "Setting":
        """The setting with one run more."""
        return replace(self, runs=(*self.runs, run))
