"""A parameter of a sweep: how it and its values are called where they are read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm2comp.reporting.dashboard.options import option_text

SEED = "seed_everything"
_CLASS = re.compile(r"(?:\w+\.)*([A-Z]\w*)")


@dataclass(frozen=True)
class Parameter:
    """A dotted option `key`, called `name` where it is read, and the `values` that the sweep gives it."""

    key: str
    name: str
    values: tuple[Any, ...]


def parameters(swept: Mapping[str, Sequence[Any]]) -> tuple[Parameter, ...]:
    """The parameters that make settings differ: all of several values but the seed, by the shortest distinct names."""
    keys = [key for key, values in swept.items() if key != SEED and len(values) > 1]
    parts = {key: [part for part in key.split(".") if part not in ("init_args", "class_path")] for key in keys}
    return tuple(Parameter(key, _name(parts, key), tuple(swept[key])) for key in keys)


def _name(parts: Mapping[str, Sequence[str]], key: str) -> str:
    """As many of the last parts of the key as tell it from the others."""
    own = parts[key]
    others = [other for name, other in parts.items() if name != key]
    length = next((n for n in range(1, len(own)) if all(other[-n:] != own[-n:] for other in others)), len(own))
    return ".".join(own[-length:])


def value_text(value: Any) -> str:
    """A value as short as it can be told: a class by its own name, and what it is made with."""
    if value is None or value == "null":
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        named = _CLASS.fullmatch(value)
        return named[1] if named else value
    if isinstance(value, list):
        return ", ".join(map(value_text, value))
    if not isinstance(value, Mapping):
        return option_text(value)
    if "class_path" not in value:
        return _arguments(value)
    arguments = _arguments(value.get("init_args", {}))
    return value_text(value["class_path"]) + (f" ({arguments})" if arguments else "")


def setting_label(swept: Sequence[Parameter], texts: Sequence[str]) -> str:
    """Values as one text: the value alone where but one parameter is swept, else each with its parameter."""
    if len(swept) < 2:
        return "".join(texts) or "all runs"
    return ", ".join(f"{parameter.name} {text}" for parameter, text in zip(swept, texts, strict=True))


def _arguments(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value_text(value)}" for key, value in given.items())
