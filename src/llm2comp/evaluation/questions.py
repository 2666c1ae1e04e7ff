"""Question answering passages: a small held-out retrieval set that is watched while an encoder trains."""

import gzip
import json
import os
import random
from pathlib import Path
from typing import NamedTuple

from llm2comp.errors import UserError


class Question(NamedTuple):
    """A question, and the passage that answers it."""

    question: str
    passage: str


def held_out_questions(count: int, seed: int) -> list[Question] | None:
    """One question on each of `count` different passages, from `evaluation_only/squad_shifts` under `LLM2COMP_DATA`.

    None where that is not set or has no such file. Raises UserError for a malformed line.
    """
    data = os.environ.get("LLM2COMP_DATA")
    path = Path(data or "") / "evaluation_only" / "squad_shifts" / "qa.jsonl.gz"
    if not data or not path.is_file():
        return None
    questions: dict[str, Question] = {}  # by passage
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                questions.setdefault(row["context"], Question(row["question"], row["context"]))
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise UserError(f"{path}, line {number}: not an object with question and context ({error})") from error
    return random.Random(seed).sample(list(questions.values()), min(count, len(questions)))
