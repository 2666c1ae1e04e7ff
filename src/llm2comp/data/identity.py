"""What a position among the batches hangs on, which a checkpoint keeps beside it."""

from typing import Any

from llm2comp.data.settings import DataSettings
from llm2comp.errors import UserError

_PROCESSES = "processes"


def identity_of(settings: DataSettings, train: dict[str, int], processes: int) -> dict[str, int]:
    """The options by which batches are made, and, for a stream, the number of processes that share it; `train`: what
    the training text adds to that."""
    names = ["seed", "batch_size", "token_budget"]
    if settings.streaming:
        names += ["buffer_size", "min_characters", "max_tokens"]
        train = {**train, _PROCESSES: processes}
    return {name: getattr(settings, name) or 0 for name in names} | train


def check_identity(saved: dict[str, Any], identity: dict[str, int]) -> None:
    """Raise UserError where a checkpoint was written with other data, for which its position means nothing."""
    changed = {name: (saved.get(name), value) for name, value in identity.items() if saved.get(name) != value}
    if changed.keys() == {_PROCESSES}:
        before, now = changed[_PROCESSES]
        raise UserError(
            f"a stream goes on with as many processes as it was saved with, {before}, not {now}; set trainer.devices "
            "and trainer.num_nodes to that, or start a new run from the encoder of the old one"
        )
    if changed:
        differences = "; ".join(f"{name} was {before} and is {now}" for name, (before, now) in changed.items())
        raise UserError(
            f"the checkpoint was written with other data options ({differences}); resume with the same ones, or start "
            "a new run from the encoder of the old one"
        )
