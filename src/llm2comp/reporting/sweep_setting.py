"""The setting of an ablation that a run tries, as W&B groups and plots by it."""

from collections.abc import Mapping
from typing import Any

from llm2comp.errors import UserError
from llm2comp.reporting.dashboard.axis import is_number
from llm2comp.reporting.dashboard.parameter import Parameter, parameters, value_text
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.sweeps.sweep import SWEEPS, Setting, Sweep

# What the setting stands under in a run's configuration, and its whole in one text.
SETTING = "setting"
LABEL = "label"
_PREFIX = "ablation_"


def sweep_of(run: RunFolder) -> Sweep | None:
    """The sweep that a run is of: the copy among its runs, else the file of its name in experiments/sweeps.

    None where there is no such file, or none that can be read.
    """
    if not run.experiment.startswith(_PREFIX):
        return None
    own = run.path.parent / "sweep.yaml"
    try:
        return Sweep.load(own if own.is_file() else SWEEPS / f"{run.experiment.removeprefix(_PREFIX)}.yaml")
    except UserError:
        return None


def sweep_setting(run: RunFolder, config: Mapping[str, Any]) -> tuple[Sweep, Setting] | None:
    """The sweep that a run is of, and which of its settings the run's configuration is; None outside of sweeps."""
    sweep = sweep_of(run)
    setting = sweep.setting_of(config) if sweep else None
    return None if sweep is None or setting is None else (sweep, setting)


def shown_setting(sweep: Sweep, setting: Setting) -> dict[str, Any]:
    """The values of what the sweep varies but the seed, numbers as such, and all of them in one text."""
    varied = parameters(sweep.parameters)
    texts = [value_text(setting[each.key]) for each in varied]
    said = [f"{each.name} {text}" for each, text in zip(varied, texts, strict=True)] if len(varied) > 1 else texts
    label = ", ".join(said)
    values = {
        column(each): setting[each.key] if is_number(setting[each.key]) else text
        for each, text in zip(varied, texts, strict=True)
    }
    return {LABEL: label or "all runs", **values}


def column(parameter: Parameter) -> str:
    """What a parameter is called in W&B, where a dot would mean a level more."""
    return parameter.name.replace(".", "_")
