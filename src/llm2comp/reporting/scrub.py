"""What of a configuration or a message may be kept and sent."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REMOVED = "[removed]"
SECRET_NAME = re.compile(r"(^|_)((api|access|private)_?key|password|passwd|secret|credentials?)(_|$)|(^|_)token$")
# Words before `token` that say which token of the text is meant, as in `pad_token`.
TEXT_TOKEN = re.compile(r"(^|_)(bos|eos|pad|mask|unk|sep|cls|memory|per|special|last|first)_token$")
SECRET_VALUE = re.compile(r"\b(hf_|sk-|gh[pousr]_|github_pat_|glpat-|AKIA|wandb_v1_)[\w-]{10,}")
# As in an address (`?token=…`) or a command (`--password=…`).
ASSIGNMENT = re.compile(r"([\w-]+)=([^\s&#;,\"']+)")
URL_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def scrub(value: Any, name: str = "") -> Any:
    """`value` with paths below the home folder written as `~/…`, and passwords, tokens and API keys taken out.

    A secret is known by the name it stands under, in a text too (`token=…`), by its form (`hf_…`), or by being the
    value of an environment variable with such a name. Mappings and sequences are gone through; what is neither plain
    data nor a path is given as its `str`.
    """
    if isinstance(value, Mapping):
        return {_scrub_text(str(key)): scrub(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [scrub(item, name) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if _is_secret_name(name) and not isinstance(value, int | float):
        return REMOVED
    if isinstance(value, int | float):
        return value
    return _scrub_text(str(value))


def scrub_command(words: Sequence[str]) -> list[str]:
    """A command as it may be kept; the value of `--token` may be the word after it."""
    names = ["", *map(last_part, words)]
    return [scrub(word, name) for name, word in zip(names, words, strict=False)]


def last_part(option: str) -> str:
    """What a dotted option is called where it belongs, as `token` of `hub.token`."""
    return option.rpartition(".")[2]


def _scrub_text(text: str) -> str:
    for key, secret in os.environ.items():
        if _is_secret_name(key) and len(secret) >= 8:
            text = text.replace(secret, REMOVED)
    text = URL_LOGIN.sub(f"{REMOVED}@", SECRET_VALUE.sub(REMOVED, text))
    text = ASSIGNMENT.sub(lambda found: f"{found[1]}={REMOVED}" if _is_secret_name(found[1]) else found[0], text)
    # A home folder may be a link to where it lies.
    for home in {str(Path.home()), str(Path.home().resolve())} - {"/"}:
        text = re.sub(rf"{re.escape(home)}(?=/|$|\W)", "~", text)
    return text


def _is_secret_name(name: str) -> bool:
    name = name.lower().replace("-", "_").lstrip("_")
    return bool(SECRET_NAME.search(name)) and not TEXT_TOKEN.search(name)
