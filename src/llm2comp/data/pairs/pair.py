"""What contrastive training learns from."""

from dataclasses import dataclass

from llm2comp.prompts import Instruction


@dataclass(frozen=True)
class Pair:
    """A query, texts that answer it, and texts that seem to but do not.

    Pairs of one `group` are held out together. `instruction` is what the data set itself puts before this pair.
    """

    query: str
    positives: list[str]
    negatives: list[str]
    group: str
    instruction: Instruction | None = None
