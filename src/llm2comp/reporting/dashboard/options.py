"""A run's configuration, as it is written and as one level of dotted options."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Options = dict[str, Any]


def read_config(path: Path) -> dict[str, Any]:
    """A run's config.yaml; empty where there is none or it is damaged."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return dict(config) if isinstance(config, Mapping) else {}


def flatten(value: Any, name: str = "") -> Options:
    """The leaves of nested mappings and lists by dotted name, as in `trainer.callbacks[0].class_path`."""
    if isinstance(value, Mapping) and (value or not name):
        parts = {f"{name}.{key}" if name else str(key): item for key, item in value.items()}
    elif isinstance(value, list) and value:
        parts = {f"{name}[{i}]": item for i, item in enumerate(value)}
    else:
        return {name: value}
    return {key: leaf for part, item in parts.items() for key, leaf in flatten(item, part).items()}


def option_text(value: Any) -> str:
    """An option's value as it stands in YAML."""
    return value if isinstance(value, str) else json.dumps(value)
