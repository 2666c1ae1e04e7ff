"""AdamW with a linear warm-up and a linear decay, shared by all stages."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

from llm2comp.errors import UserError


@dataclass
class Optimization:
    """AdamW; learning rate linear from 0 to `learning_rate` over the warm-up, then linear to `final_learning_rate`.

    Neither end is a step of its own: no step is taken with a rate of 0.

    `warmup`: a share of all steps if below 1, else a number of steps.
    """

    learning_rate: float = 1e-4
    final_learning_rate: float = 0.0
    warmup: float = 0.1
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 <= self.final_learning_rate <= self.learning_rate:
            raise UserError(
                f"learning_rate must be above 0 and final_learning_rate between 0 and it, "
                f"not {self.learning_rate} and {self.final_learning_rate}"
            )
        if self.warmup < 0:
            raise UserError(f"warmup must be a share of all steps or a number of steps, not {self.warmup}")
        if self.weight_decay < 0:
            raise UserError(f"weight_decay must be 0 or more, not {self.weight_decay}")

    def factor(self, step: int, total_steps: int) -> float:
        """The learning rate at a step, as a share of `learning_rate`."""
        warmup = self.warmup * total_steps if self.warmup < 1 else self.warmup
        if step < warmup:
            return (step + 1) / (warmup + 1)
        left = max(0.0, total_steps - step) / max(1.0, total_steps - warmup)
        final = self.final_learning_rate / self.learning_rate
        return final + (1 - final) * min(1.0, left)

    def build(self, parameters: Iterable[Parameter], total_steps: int) -> tuple[torch.optim.AdamW, LambdaLR]:
        """The optimiser, and the schedule to be stepped after every optimiser step."""
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        return optimizer, LambdaLR(optimizer, lambda step: self.factor(step, total_steps))
