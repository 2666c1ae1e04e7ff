"""The dashboards are what W&B's schema takes, built with no account and no network, and saving says what it needs."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("wandb_workspaces", reason="the extra `dashboards` is not installed")

import wandb_workspaces.reports.v2.internal as report_schema
import wandb_workspaces.workspaces.internal as workspace_schema

from llm2comp.errors import UserError
from llm2comp.reporting.wandb_dashboards import saving
from llm2comp.reporting.wandb_dashboards.report import ablation_report
from llm2comp.reporting.wandb_dashboards.workspace import project_workspace
from llm2comp.sweeps.sweep import Sweep

SWEEPS = sorted((Path(__file__).parents[3] / "experiments" / "sweeps").glob("*.yaml"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("there was a connection"))


def spec(path: Path) -> dict[str, Any]:
    """The report as it is sent, once the schema has read it back."""
    model = ablation_report(Sweep.load(path), "ada", "llm2comp")._to_model()
    sent = model.spec.model_dump_json(by_alias=True, exclude_none=True)
    read = report_schema.Spec.model_validate_json(sent).model_dump_json(by_alias=True, exclude_none=True)
    assert read.replace(',"inlineComments":[]', "") == sent
    return json.loads(sent)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_report_has_the_question_the_runs_and_what_they_are_compared_by(path: Path):
    sweep, sent = Sweep.load(path), spec(path)
    text = json.dumps(sent)
    assert json.dumps(sweep.description)[1:-1] in text
    grids = [block for block in sent["blocks"] if block["type"] == "panel-grid"]
    for grid in grids:
        (runset,) = grid["metadata"]["runSets"]
        assert sweep.experiment in json.dumps(runset["filters"])
        assert runset["runFeed"]["columnPinned"][f"summary:best/{sweep.metric.name}"]
    grouped = [json.dumps(grid["metadata"]["runSets"][0]["grouping"]) for grid in grids]
    assert ["setting.value.label" in each for each in grouped] == [True, True, False]
    for parameter in sweep.parameters:
        assert parameter == "seed_everything" or parameter in text


def test_numbers_are_plotted_by_their_parameter():
    path = next(path for path in SWEEPS if path.stem == "memory_tokens")
    text = json.dumps(spec(path))
    assert "config:setting.value.num_memory_tokens" in text
    assert '"xAxisLogScale": true' in text


def test_a_report_names_no_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    path = tmp_path / "encoders.yaml"
    content = yaml.safe_load(SWEEPS[0].read_text())
    content["parameters"] = {"model.encoder": {"values": ["/home/ada/models/a", "/home/ada/models/b"]}}
    path.write_text(yaml.safe_dump(content))
    assert "~/models/a, ~/models/b" in json.dumps(spec(path))
    assert "/home/ada" not in json.dumps(spec(path))


def test_the_workspace_has_its_sections():
    model = project_workspace("ada", "llm2comp")._to_model()
    sent = model.spec.model_dump_json(by_alias=True, exclude_none=True)
    assert workspace_schema.WorkspaceViewspec.model_validate_json(sent)
    sections = json.loads(sent)["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == [
        *("Training health", "Context recovered", "Geometry", "Downstream scores")
    ]
    assert all(section["panels"] for section in sections)


def test_saving_says_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="write ENTITY/PROJECT"):
        saving.save_dashboards("llm2comp", [])
    monkeypatch.setattr(saving, "has_account", lambda: False)
    with pytest.raises(UserError, match="needs an account: run wandb login"):
        saving.save_dashboards("ada/llm2comp", [])
    monkeypatch.setattr(saving, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'llm2comp\[dashboards\]'"):
        saving.save_dashboards("ada/llm2comp", [])


def test_what_wandb_refuses_is_told(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: str) -> str:
        raise ValueError("permission denied")

    monkeypatch.setattr(saving, "has_account", lambda: True)
    monkeypatch.setattr(saving, "_save_workspace", refuse)
    with pytest.raises(UserError, match="did not take the dashboards of ada/llm2comp: permission denied"):
        saving.save_dashboards("ada/llm2comp", [])
