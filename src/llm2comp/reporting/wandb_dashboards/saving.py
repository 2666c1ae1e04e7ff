"""Saving dashboards in W&B, which needs an account."""

import re
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from llm2comp.errors import UserError
from llm2comp.reporting.wandb_account import has_account
from llm2comp.sweeps.sweep import Sweep

# What the workspace goes by in its address, so that it is replaced, and not saved once more.
VIEW = "llm2comp000"


def save_dashboards(path: str, sweeps: Sequence[Sweep]) -> list[str]:
    """Save the workspace of a project `ENTITY/PROJECT`, and a report of each sweep, and return their addresses.

    What was saved before is replaced. Raises UserError without an account or the package, and for what W&B refuses.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        raise UserError(f"{path!r} is not a project in W&B: write ENTITY/PROJECT, as in ada/llm2comp")
    if find_spec("wandb_workspaces") is None:
        raise UserError("dashboards in W&B need the package wandb-workspaces: pip install 'llm2comp[dashboards]'")
    if not has_account():
        raise UserError(
            "saving dashboards in W&B needs an account: run wandb login, or set WANDB_API_KEY; "
            "llm2comp dashboard without --wandb needs none"
        )
    entity, project = path.split("/")
    try:
        return [_save_workspace(entity, project), *_save_reports(entity, project, sweeps)]
    except Exception as error:  # of the network, the server, and whatever the package makes of them
        raise UserError(f"W&B did not take the dashboards of {path}: {error}") from error


def _save_workspace(entity: str, project: str) -> str:
    import wandb_workspaces.workspaces as ws

    from llm2comp.reporting.wandb_dashboards.workspace import project_workspace

    workspace: Any = project_workspace(entity, project)
    workspace._internal_name = f"nw-{VIEW}-v"
    with suppress(ValueError):  # there is none
        workspace._internal_id = ws.Workspace.from_url(workspace.url)._internal_id
    return workspace.save().url


def _save_reports(entity: str, project: str, sweeps: Sequence[Sweep]) -> list[str]:
    import wandb

    from llm2comp.reporting.wandb_dashboards.report import ablation_report

    saved = {report.display_name: report.id for report in wandb.Api().reports(f"{entity}/{project}")}
    addresses = []
    for sweep in sweeps:
        report = ablation_report(sweep, entity, project)
        report.id = saved.get(report.title, "")
        addresses.append(report.save().url)
    return addresses
