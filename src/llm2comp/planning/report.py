"""A plan as a table, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from llm2comp.planning.plan import USABLE, Plan, StrategyPlan

GIB = 2**30
# Part -> how the table calls it.
ROWS = {
    "weights": "frozen weights",
    "frozen copy": "second copy",
    "trained": "trained weights",
    "gradients": "gradients",
    "optimizer": "optimizer states",
    "activations": "activations",
    "logits": "logits",
    "communication": "communication",
}


def heading(plan: Plan) -> str:
    """What is planned, and for what."""
    size, batch = plan.size, plan.batch
    devices = "one device" if plan.devices == 1 else f"each of {plan.devices} devices"
    return (
        f"{plan.training.spec.name}: {size.parameters:,} parameters, {size.trained_parameters:,} train "
        f"({size.trained_parameters / size.parameters:.2%})\n"
        f"GiB on {devices} of {plan.usable / USABLE / GIB:g}, {plan.usable / GIB:.1f} of them usable, "
        f"with {batch.option} {batch.value}"
    )


def table(plans: Sequence[StrategyPlan]) -> Table:
    """GiB of each device by part and strategy."""
    found = Table(box=box.SIMPLE)
    found.add_column("")
    for each in plans:
        found.add_column(each.strategy.replace("deepspeed_", "deepspeed_\n"), justify="right")
    for part, name in ROWS.items():
        if any(each.memory.get(part) for each in plans):
            found.add_row(name, *(_gib(each.memory.get(part)) for each in plans))
    found.add_section()
    found.add_row("all", *(Text(_gib(each.total if each.memory else None), style="bold") for each in plans))
    found.add_row("fits", *(_fits(each) for each in plans))
    found.add_row("largest that fits", *(f"{each.largest:,}" if each.largest else "-" for each in plans))
    return found


def as_json(plan: Plan, plans: Sequence[StrategyPlan], advice: str) -> dict[str, Any]:
    """The same in bytes, with the size of the batch as it is set."""
    return {
        "encoder": plan.training.spec.name,
        "parameters": plan.size.parameters,
        "trained_parameters": plan.size.trained_parameters,
        "devices": plan.devices,
        "device_memory": round(plan.usable / USABLE),
        "usable": round(plan.usable),
        "batch": {"option": plan.batch.option, "value": plan.batch.value},
        "strategies": [{**asdict(each), "total": each.total} for each in plans],
        "advice": advice,
    }


def _gib(size: int | None) -> str:
    return "-" if size is None else f"{size / GIB:.2f}"


def _fits(plan: StrategyPlan) -> Text:
    return Text("yes", style="green") if plan.fits else Text("-" if plan.refused else "no", style="red")
