"""Errors that are the user's to mend: shown as one message, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """What is wrong, where, and what to do about it."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown `name`: the nearest known names, or all of them."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"known: {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}; {hint}")
