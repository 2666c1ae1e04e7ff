"""The registry of instructions: symmetric tasks word both sides, asymmetric ones queries only."""

import pytest

from llm2comp.errors import UserError
from llm2comp.prompts import INSTRUCTIONS, instruction, prompts


@pytest.mark.parametrize("task", INSTRUCTIONS)
def test_symmetric_tasks_word_both_sides(task: str) -> None:
    given = instruction(task)
    assert given.text in given.query
    assert given.document == (given.query if given.symmetric else "")


def test_unknown_task_gives_the_nearest() -> None:
    with pytest.raises(UserError, match="retrieval"):
        instruction("retreival")


def test_prompts_name_the_sides_where_tasks_agree() -> None:
    assert prompts([]) == {}
    assert prompts(["retrieval"]) == {
        "retrieval": instruction("retrieval").query,
        "query": instruction("retrieval").query,
        "document": "",
    }
    both = prompts(["retrieval", "facts"])
    assert set(both) == {"retrieval", "facts", "document"}
    assert prompts(["sts", "nli"])["document"] == instruction("sts").query
