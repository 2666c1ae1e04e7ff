"""The instructions that go before a text: one registry for training, evaluation and export."""

from dataclasses import dataclass

from llm2comp.errors import unknown


@dataclass(frozen=True)
class Instruction:
    """What a task asks of the encoder. A symmetric task puts it before both sides, an asymmetric one before queries."""

    text: str
    symmetric: bool

    @property
    def query(self) -> str:
        """What goes before a query."""
        return f"Instruct: {self.text}\nQuery: "

    @property
    def document(self) -> str:
        """What goes before a document."""
        return self.query if self.symmetric else ""


# Worded as in the E5-mistral mixture (Wang et al. 2024, arXiv 2401.00368, appendix), so that encoders compare.
INSTRUCTIONS = {
    "sts": Instruction("Retrieve semantically similar text", symmetric=True),
    "nli": Instruction("Retrieve semantically similar text", symmetric=True),
    "duplicates": Instruction("Retrieve duplicate questions", symmetric=True),
    "clustering": Instruction("Identify the topic of the given text", symmetric=True),
    "classification": Instruction("Classify the given text", symmetric=True),
    "retrieval": Instruction("Given a query, retrieve passages that answer it", symmetric=False),
    "questions": Instruction("Given a question, retrieve Wikipedia passages that answer it", symmetric=False),
    "facts": Instruction(
        "Given a scientific claim, retrieve documents that support or refute the claim", symmetric=False
    ),
}


def instruction(task: str) -> Instruction:
    """The instruction of a task; raises UserError for one that is not in the registry, with the nearest names."""
    if task not in INSTRUCTIONS:
        raise unknown("task", task, INSTRUCTIONS)
    return INSTRUCTIONS[task]


def prompts(tasks: list[str]) -> dict[str, str]:
    """The prompts of an encoder trained on these tasks, by the names sentence-transformers looks for.

    A prompt for each task; `query` and `document` too where all tasks agree on them.
    """
    instructions = [instruction(task) for task in tasks]
    named = {task: instruction.query for task, instruction in zip(tasks, instructions, strict=True)}
    for side in ("query", "document"):
        worded = {getattr(each, side) for each in instructions}
        if len(worded) == 1:
            named[side] = worded.pop()
    return named
