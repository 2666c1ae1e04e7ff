"""One data set of a mixture, as a user names it."""

from dataclasses import dataclass

from llm2comp.errors import UserError
from llm2comp.prompts import Instruction, instruction


@dataclass(frozen=True)
class PairSet:
    """A source and how it is used.

    Args:
        source: Pairs or text: a file, a folder, `hub:org/name@revision:config/split` or an embedded corpus.
        task: Whose instruction (see `llm2comp.prompts`) stands before the texts; null for what the rows say
            themselves, if anything.
        weight: Its share of the batches, relative to the others', with `mixing: weights`.
        max_examples: Train on a sample of this many pairs.
        max_negatives: Hard negatives a pair, drawn anew in each epoch where a row has more.
        min_score: The score from which on scored pairs are positives.
    """

    source: str
    task: str | None = None
    weight: float = 1.0
    max_examples: int | None = None
    max_negatives: int = 1
    min_score: float | None = None

    def __post_init__(self) -> None:
        if self.task is not None:
            instruction(self.task)
        if not self.weight > 0:
            raise UserError(f"{self.source}: weight must be above 0, not {self.weight}")
        if self.max_examples is not None and self.max_examples < 2:
            raise UserError(f"{self.source}: max_examples must be at least 2, not {self.max_examples}")
        if self.max_negatives < 0:
            raise UserError(f"{self.source}: max_negatives must not be negative, but is {self.max_negatives}")

    @property
    def instruction(self) -> Instruction | None:
        return None if self.task is None else instruction(self.task)
