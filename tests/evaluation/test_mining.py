"""Mined negatives are near the query, further than the positive, and never an answer to it."""

from typing import Any

import numpy as np
import pytest

from llm2comp.data.pairs.pair import Pair
from llm2comp.errors import UserError
from llm2comp.evaluation.mining import mine
from llm2comp.prompts import instruction


class Angles:
    """An encoder of texts that end in their angle in degrees."""

    def __init__(self) -> None:
        self.prompts: list[str | None] = []

    def encode(self, texts: list[str], prompt: str | None = None, **options: Any) -> np.ndarray:
        self.prompts.append(prompt)
        angles = np.radians([float(text.split()[-1]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


PAIRS = [
    Pair("q 0", ["yes 10", "also 14"], [], "q 0"),
    Pair("r 90", ["far 91"], ["candidate 20", "candidate 30"], "r 90"),
    Pair("s 60", ["middle 40"], [], "s 60"),
]


def mined(**options: Any) -> list[list[str]]:
    pairs = mine(Angles(), PAIRS, **{"range_min": 0, "margin": None, **options})  # type: ignore[arg-type]
    assert [(pair.query, pair.positives) for pair in pairs] == [(pair.query, pair.positives) for pair in PAIRS]
    return [pair.negatives for pair in pairs]


def test_the_nearest_are_taken_but_for_positives() -> None:
    assert mined(negatives=2) == [
        ["candidate 20", "candidate 30"],
        ["middle 40", "candidate 30"],
        ["candidate 30", "far 91"],
    ]


def test_the_nearest_of_all_are_passed_over() -> None:
    assert mined(negatives=1, range_min=1, range_max=9)[0] == ["candidate 30"]


def test_a_margin_keeps_negatives_below_the_positive() -> None:
    # The cosine of the positive of s is 0.940: 30 degrees has 0.866 of it 0.92, 91 degrees 0.857 of it 0.91.
    assert mined(negatives=2, margin=0.915)[2][0] == "far 91"
    assert mined(negatives=2, margin=0.95)[2][0] == "candidate 30"


def test_instructions_stand_where_they_stand_in_training() -> None:
    encoder = Angles()
    mine(encoder, PAIRS, instruction("questions"), negatives=1, range_min=0)  # type: ignore[arg-type]
    assert encoder.prompts == ["", instruction("questions").query]


def test_an_embedding_that_is_no_number_is_refused() -> None:
    with pytest.raises(UserError, match="embedding of 'x nan' is not finite"):
        mine(Angles(), [Pair("q 0", ["x nan"], [], "q")], negatives=1, range_min=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"negatives": 0}, "negatives must be at least 1"),
        ({"negatives": 5, "range_min": 10, "range_max": 14}, "there must be room for 5 negatives"),
        ({"range_min": -1}, "there must be room"),
        ({"margin": 0.0}, r"margin must be in \(0, 1\]"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mined(**options)


def test_no_pair_is_refused() -> None:
    with pytest.raises(UserError, match="no pair"):
        mine(Angles(), [])  # type: ignore[arg-type]
