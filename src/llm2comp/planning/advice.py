"""What to run, of all that was planned."""

import shlex
from collections.abc import Sequence
from typing import Any

from llm2comp.planning.plan import Plan, StrategyPlan
from llm2comp.planning.strategies import processes


def advice(plan: Plan, plans: Sequence[StrategyPlan], arguments: list[str], accumulated: int) -> str:
    """One line: what fits, and the command to train so; or what to change where nothing does.

    `arguments`: those of `llm2comp fit` that were planned. `accumulated`: batches of a step.
    """
    in_order = sorted(plans, key=lambda each: each.strategy == "one device")  # several devices are there to be used
    fitting = [each for each in in_order if each.fits]
    if fitting:
        names = ", ".join(each.strategy for each in fitting)
        return f"Fits: {names}. To train: {_command(fitting[0], arguments)}"
    smaller = [(each, cut) for each in in_order if (cut := _smaller_batch(each, plan, accumulated)) is not None]
    if smaller:
        chosen, cut = smaller[0]
        return (
            f"{plan.batch.option} {plan.batch.value} does not fit; smaller batches do, with {chosen.strategy}: "
            f"{_command(chosen, arguments, **cut)}"
        )
    return f"Nothing fits, not even one text at a time. What takes less: {', '.join(_savings(plan))}"


def _command(chosen: StrategyPlan, arguments: list[str], **cut: int) -> str:
    if chosen.strategy == "one device":
        kept = _without(arguments, "trainer.devices", "trainer.num_nodes", "trainer.strategy", *cut)
        how: dict[str, Any] = {"trainer.devices": 1}
    else:
        kept, how = _without(arguments, "trainer.strategy", *cut), {"trainer.strategy": chosen.strategy}
    given = [word for name, value in {**cut, **how}.items() for word in (f"--{name}", str(value))]
    return shlex.join(["llm2comp", "fit", *kept, *given])


def _without(arguments: list[str], *options: str) -> list[str]:
    """The arguments without some options and their values."""
    kept, words = [], iter(arguments)
    for word in words:
        name, equals, _ = word.removeprefix("--").partition("=")
        if not (word.startswith("--") and name in options):
            kept.append(word)
        elif not equals:
            next(words)
    return kept


def _smaller_batch(chosen: StrategyPlan, plan: Plan, accumulated: int) -> dict[str, int] | None:
    """Options of smaller batches that fit, of which a step takes as many as make up the same."""
    batch = plan.batch
    if chosen.largest == 0:
        return None
    if not batch.option.startswith("data."):
        return {batch.option: chosen.largest}
    number = processes(chosen.strategy, plan.devices) if batch.shared else 1
    for times in range(2, batch.value + 1):
        size = batch.value // times
        if size <= chosen.largest and (not batch.shared or (batch.value % times == 0 and size % number == 0)):
            return {batch.option: size, "trainer.accumulate_grad_batches": times * accumulated}
    return None


def _savings(plan: Plan) -> list[str]:
    training = plan.training
    savings = [] if training.activation_checkpointing else ["--model.activation_checkpointing true"]
    if training.quantization is None and training.lora is not None and training.device == "cuda":
        savings.append("--model.quantization 4bit")
    return [*savings, "more devices with fsdp2", "shorter texts (--model.max_length)"]
