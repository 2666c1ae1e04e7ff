"""The W&B workspace of a project: how training goes, and what the encoders are worth."""

from collections.abc import Iterable
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from llm2comp.evaluation.mteb.task_sets import TASK_SETS
from llm2comp.reporting.dashboard.measures import GEOMETRY, SCORE, STS_TEST
from llm2comp.reporting.reconstructions import KEY
from llm2comp.reporting.wandb_dashboards.panels import STEP, bars, curve

NAME = "llm2comp"
TRAINING = (
    *("train/loss", "val/loss", "train/lr"),
    *("train/tokens_per_second", "train/mfu", "train/data_wait"),
)
CONTEXT = ("val/context_recovered", "val/autoencoding_loss", "val/autoregression_loss", "val/masked_accuracy")
SHAPE = ("val/effective_dimension", "val/memory_correlation", "val/memory_norm")
MEASURES = ("effective_rank", "participation_ratio", "isoscore", "alignment", "uniformity", "memory_correlation")
RETRIEVAL = ("val/retrieval_mrr", "val/question_mrr", "val/sts_spearman")


def project_workspace(entity: str, project: str) -> ws.Workspace:
    """Sections on training health, recovered context, geometry and downstream scores."""
    tasks = dict.fromkeys((*TASK_SETS["quick"], *TASK_SETS["paper15"]))
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        settings=ws.WorkspaceSettings(x_axis=STEP),
        sections=[
            _section("Training health", map(curve, TRAINING)),
            _section("Context recovered", [*map(curve, CONTEXT), wr.WeavePanelSummaryTable(table_name=KEY)]),
            _section("Geometry", [*map(curve, SHAPE), *_bars(GEOMETRY, MEASURES), _pictures()]),
            _section("Downstream scores", [*map(curve, RETRIEVAL), bars(STS_TEST), *_bars(SCORE, tasks)]),
        ],
        runset_settings=ws.RunsetSettings(
            pinned_columns=["run:displayName", "run:group", "run:jobType", "run:state", f"summary:{STS_TEST}"]
        ),
    )


def _section(name: str, panels: Iterable[Any]) -> ws.Section:
    return ws.Section(name=name, panels=list(panels), is_open=True)


def _bars(kind: str, names: Iterable[str]) -> list[Any]:
    return [bars(f"{kind}{name}") for name in names]


def _pictures() -> Any:
    return wr.MediaBrowser(title="Spectrum, and correlation of memory tokens", media_keys=["geometry"])
