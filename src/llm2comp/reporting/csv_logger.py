"""The logger that every run has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from llm2comp.reporting.metrics_file import MetricsFile


class CSVLogger(Logger):
    """Logs to `<folder>/metrics.csv`, which a resumed run continues (see `ResumedMetrics`)."""

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._file: MetricsFile | None = None

    @property
    def save_dir(self) -> str:
        return str(self._folder)

    # Lightning joins the three to a path; here the folder says it all.
    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write the metrics of a step, counted in optimizer steps done before it."""
        assert step is not None
        self._open().write(step, metrics)

    @rank_zero_only
    def drop_from(self, step: int) -> None:
        """Remove what was logged of `step` and later ones."""
        self._open().drop_from(step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder's config.yaml holds them all."""

    def _open(self) -> MetricsFile:
        if self._file is None:
            self._file = MetricsFile(self._folder / "metrics.csv")
        return self._file
