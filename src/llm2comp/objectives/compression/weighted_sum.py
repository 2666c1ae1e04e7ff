"""Several compression objectives at once."""

from torch import Tensor

from llm2comp.errors import UserError
from llm2comp.objectives.base import Measurement
from llm2comp.objectives.compression.base import CompressionObjective
from llm2comp.objectives.compression.decoding import Decoding


class WeightedSum(CompressionObjective):
    """sum_i w_i loss_i; passes that the objectives share are made once."""

    def __init__(self, objectives: list[CompressionObjective], weights: list[float]) -> None:
        if len(objectives) != len(weights) or not objectives:
            raise UserError(f"a weighted sum needs one weight an objective: {len(objectives)} and {len(weights)} given")
        self.objectives = objectives
        self.weights = weights
        self.reads_text = any(objective.reads_text for objective in objectives)
        self.reads_continuation = any(objective.reads_continuation for objective in objectives)
        self.has_teacher = any(objective.has_teacher for objective in objectives)

    def loss(self, decoding: Decoding) -> Tensor:
        losses = [term.value for term in self.terms(decoding)]
        return sum(losses[1:], losses[0])

    def terms(self, decoding: Decoding) -> list[Measurement]:
        return [
            Measurement(weight * term.value, term.weight)
            for weight, objective in zip(self.weights, self.objectives, strict=True)
            for term in objective.terms(decoding)
        ]
