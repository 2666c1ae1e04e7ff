"""Reading sweep files: what of W&B's format runs without its server, and clear refusals of the rest."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llm2comp.errors import UserError, unknown
from llm2comp.sweeps.metric import Metric

REQUIRED = ("name", "description", "method", "metric", "parameters", "command")
# What else W&B reads in a sweep, and does not change which runs there are.
IGNORED = ("program", "project", "entity", "$schema")
# What only its server can do, and what that is.
SERVER_ONLY = {
    "early_terminate": "stopping runs early",
    "run_cap": "a cap on the number of runs",
    "controller": "a controller",
    "job": "launching jobs",
    "image_uri": "launching jobs",
}
AGENT = "run it by W&B, which needs an account: wandb sweep FILE, then wandb agent"


def read_sweep(path: Path) -> dict[str, Any]:
    """The fields of a `Sweep`. Raises UserError that names the file and the key for whatever is not one."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"there is no sweep file {path}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a sweep: it needs the keys {', '.join(REQUIRED)}")
    _check_keys(path, content)
    parameters = content["parameters"]
    if not isinstance(parameters, dict) or not parameters:
        raise UserError(f"{path}: parameters must name the options to vary, as in seed_everything: {{values: [0, 1]}}")
    varied, fixed = {}, {}
    for key, parameter in parameters.items():
        _check_parameter(path, key, parameter)
        if "values" in parameter:
            varied[key] = tuple(parameter["values"])
        else:
            fixed[key] = parameter["value"]
    if not varied:
        raise UserError(
            f"{path} varies nothing: give a parameter several values, as in seed_everything: {{values: [0, 1]}}"
        )
    return {
        "name": str(content["name"]),
        "description": str(content["description"]).strip(),
        "metric": _metric(path, content["metric"]),
        "parameters": varied,
        "fixed": fixed,
        "command": _command(path, content["command"]),
    }


def _check_keys(path: Path, content: Mapping[str, Any]) -> None:
    for key, what in SERVER_ONLY.items():
        if key in content:
            raise UserError(f"{path}: {key}, {what}, is what only W&B's server does; leave it out, or {AGENT}")
    for key in content:
        if key not in (*REQUIRED, *IGNORED):
            raise unknown(f"key in {path}", str(key), REQUIRED)
    if missing := [key for key in REQUIRED if not content.get(key)]:
        raise UserError(f"{path} lacks {missing[0]!r}; a sweep needs {', '.join(REQUIRED)}")
    if content["method"] != "grid":
        raise UserError(f"{path}: only method: grid runs here, not {content['method']!r}; {AGENT}")
    if not re.fullmatch(r"[\w.-]+", str(content["name"])):
        raise UserError(f"{path}: name {content['name']!r} names a folder: letters, digits, _ - . only")


def _check_parameter(path: Path, key: Any, parameter: Any) -> None:
    where = f"{path}: parameter {key}"
    if not isinstance(parameter, dict):
        raise UserError(f"{where} must be {{values: [...]}} or {{value: ...}}")
    if "parameters" in parameter:
        raise UserError(f"{where} is nested; write its options with dots, as in model.lora.rank: {{values: [4, 16]}}")
    if beyond := sorted(map(str, parameter.keys() - {"value", "values"})):
        raise UserError(f"{where} has {beyond[0]}, but only values (a grid) and value are for here; {AGENT}")
    if len(parameter) != 1:
        raise UserError(f"{where} must have either values, a list, or value")
    values = parameter.get("values", [parameter.get("value")])
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}: values must be a list of one or more")
    if any(_has_null(value) for value in values):
        raise UserError(
            f"{where}: W&B hands a bare null on as None, which no option understands; write 'null' in quotes"
        )
    if len({repr(value) for value in values}) < len(values):
        raise UserError(f"{where} has a value twice: its runs would be the same")


def _has_null(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is None or any(_has_null(part) for part in parts)


def _metric(path: Path, metric: Any) -> Metric:
    if (
        not isinstance(metric, dict)
        or metric.keys() != {"name", "goal"}
        or metric["goal"] not in ("minimize", "maximize")
    ):
        raise UserError(f"{path}: metric must have a name and a goal, minimize or maximize")
    return Metric(name=str(metric["name"]), goal=metric["goal"])


def _command(path: Path, command: Any) -> tuple[str, ...]:
    if not isinstance(command, list):
        raise UserError(f"{path}: command must be a list, as in [llm2comp, fit, --config, FILE, '${{args}}']")
    words = tuple(str(word) for word in command)
    if words.count("${args}") != 1:
        raise UserError(f"{path}: command must have ${{args}} once, where the options of a run go")
    if others := [word for word in words if "${" in word and word != "${args}"]:
        raise UserError(f"{path}: {others[0]} in the command is not understood here, only ${{args}}; {AGENT}")
    return words
