"""Values of options: as a sweep writes them, and as they stand in a run's config.yaml."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm2comp.reporting.scrub import scrub


def configured(config: Mapping[str, Any], key: str) -> Any:
    """The value that a run's nested configuration has at a dotted option.

    As on the command line, `init_args` may be left out: `model.lora` is `model: {init_args: {lora: ...}}`. Raises
    KeyError where there is no such option.
    """
    value: Any = config
    for part in key.split("."):
        if isinstance(value, Mapping) and part not in value and "init_args" in value:
            value = value["init_args"]
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(key)
        value = value[part]
    return value


def chosen(values: Sequence[Any], config_value: Any) -> Any:
    """The one of a sweep's values that led to the value in a run's configuration.

    A class may be given by its name or by part of its arguments; where several of the values fit, it is the one that
    says most. Raises KeyError where none fits.
    """
    # What a run has written is without home paths.
    fitting = [value for value in values if _fits(scrub(value), scrub(config_value))]
    if not fitting:
        raise KeyError(config_value)
    return max(fitting, key=_size)


def _fits(value: Any, config_value: Any) -> bool:
    if isinstance(value, Mapping):
        if not isinstance(config_value, Mapping):
            return False
        return all(key in config_value and _fits(part, config_value[key]) for key, part in value.items())
    if isinstance(value, str) and isinstance(config_value, Mapping):
        return _same_class(value, config_value.get("class_path"))
    if isinstance(value, str) and isinstance(config_value, str):
        return _same_class(value, config_value)
    if isinstance(value, bool) or isinstance(config_value, bool):
        return value is config_value
    return value == config_value or (value == "null" and config_value is None)


def _same_class(name: str, path: Any) -> bool:
    return isinstance(path, str) and (path == name or path.endswith(f".{name}"))


def _size(value: Any) -> int:
    """How much a value says."""
    return 1 + sum(_size(part) for part in value.values()) if isinstance(value, Mapping) else 0
