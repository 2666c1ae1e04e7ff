"""Names of an ablation's runs: their settings, as a folder may be called."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from llm2comp.reporting.scrub import scrub

# W&B's run ids, which the experiment is a part of, end at 128 characters.
LONGEST = 80


def run_name(setting: Mapping[str, Any]) -> str:
    """The values of the varied options, as in `seed_everything=0,num_memory_tokens=8`.

    It hangs on the setting alone, so it stays when the sweep gets more values. Where the values cannot be written out
    in a folder's name, a digest of them follows. A home path is not in it: W&B is told the name.
    """
    setting = scrub(setting)
    short = [key.rpartition(".")[2] for key in setting]
    keys = short if len(set(short)) == len(short) else list(setting)
    written = ",".join(f"{key}={_text(value)}" for key, value in zip(keys, setting.values(), strict=True))
    name = re.sub(r"[^\w.=,+-]+", "-", written)[:LONGEST]
    if name == written:
        return name
    digest = hashlib.sha256(repr(sorted(setting.items())).encode()).hexdigest()[:8]
    return f"{name}-{digest}"


def _text(value: Any) -> str:
    """A value in short: a class by its own name, and what a mapping says, joined by plus signs."""
    if not isinstance(value, Mapping):
        return str(value).rpartition(".")[2] if _is_path(value) else str(value)
    parts = {**value, **value.get("init_args", {})} if "class_path" in value else value
    said = [
        _text(part) if key == "class_path" else f"{key}={_text(part)}"
        for key, part in parts.items()
        if key != "init_args"
    ]
    return "+".join(said)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z_][\w.]*\.[A-Z]\w*", value) is not None
