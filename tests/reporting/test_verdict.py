"""A verdict says how many seeds there are, and never more than they show."""

import math

import pytest

from llm2comp.reporting.metric_names import metric
from llm2comp.reporting.numbers import MINUS
from llm2comp.reporting.verdict import Verdict, verdict

PERCENT = metric("val/context_recovered")
LOSS = metric("val/loss")


def text(judged: Verdict) -> str:
    return " ".join((judged.headline, *judged.details)).replace("\N{NO-BREAK SPACE}", " ").replace(MINUS, "-")


def around(mean: float, scatter: float = 0.01) -> list[float]:
    return [mean - scatter, mean, mean + scatter]


def test_a_best_setting_beyond_the_noise():
    judged = verdict({"1": around(0.1), "8": around(0.3), "4": around(0.2)}, "maximize", PERCENT)
    assert (judged.status, judged.best) == ("clear", "8")
    assert judged.headline == "8 is best: it differs from every other setting by more than the noise of 3 seeds."
    assert "The best against the next, 8 against 4: +10.0 points (95% interval +7.1 to +12.9), more than" in text(
        judged
    )
    assert "The best against the worst, 8 against 1: +20.0 points" in text(judged)
    assert "3 seeds each. Games and Howell's intervals, for all pairs together." in text(judged)
    assert "not to say there is none" not in text(judged)


def test_less_is_better_where_the_goal_is_to_minimize():
    samples = {"a": around(0.5), "b": around(0.9)}
    judged = verdict(samples, "minimize", LOSS)
    assert judged.best == "a"
    assert judged.headline == "a is best: it differs from b by more than the noise of 3 seeds."
    assert "a against b: -0.400 nats (95% interval -0.423 to -0.377), more than the noise" in text(judged)
    assert "Welch's interval" in text(judged)
    assert judged.to_best["b"].value == pytest.approx(0.4)
    assert verdict(samples, "maximize", LOSS).best == "b"


def test_a_leader_within_the_noise_of_some():
    judged = verdict({"1": around(0.1), "8": around(0.3), "16": around(0.305)}, "maximize", PERCENT)
    assert (judged.status, judged.best) == ("partial", "16")
    assert judged.headline == (
        "16 leads, but differs from 8 by no more than the noise of 3 seeds; 1 is worse by more than that."
    )
    assert "within the noise" in text(judged)
    assert "cannot show less than 2.9 points" in text(judged)


def test_a_headline_names_few():
    samples = {str(n): around(0.3 + n / 1e4) for n in range(6)}
    judged = verdict({**samples, "low": around(0.0)}, "maximize", PERCENT)
    assert judged.headline == (
        "5 leads, but differs from 5 others by no more than the noise of 3 seeds; low is worse by more than that."
    )


def test_nothing_exceeds_the_noise():
    judged = verdict({"a": around(0.3, 0.1), "b": around(0.31, 0.1)}, "maximize", PERCENT)
    assert judged.status == "noise"
    assert judged.headline == "No difference exceeds the noise of 3 seeds; b leads."
    # The same means, with less noise about them.
    assert verdict({"a": around(0.3, 0.001), "b": around(0.31, 0.001)}, "maximize", PERCENT).status == "clear"


def test_one_seed_gives_no_verdict():
    judged = verdict({"a": [0.1], "b": [0.9]}, "maximize", PERCENT)
    assert (judged.status, judged.best, judged.to_best) == ("none", None, {})
    assert judged.headline == "One seed: no verdict."
    assert "b reads best, 90.0 %, of one run each" in text(judged)
    assert "a reads best" in text(verdict({"a": [0.1], "b": [0.9]}, "minimize", PERCENT))


def test_a_setting_of_one_seed_is_not_compared_with_others_of_several():
    judged = verdict({"a": around(0.1), "b": around(0.2)[:2], "c": [0.9]}, "maximize", PERCENT)
    assert judged.best == "b"
    assert "2 to 3 seeds" in judged.headline
    assert "Of one seed, and so not compared: c (90.0 %)." in text(judged)


def test_a_diverged_setting_is_named_and_not_compared():
    judged = verdict({"a": around(0.1), "b": around(0.2), "c": [0.9, math.nan, 0.8]}, "maximize", PERCENT)
    assert (judged.status, judged.best) == ("clear", "b")
    assert "Not compared, for a run of it has no finite value: c." in text(judged)
    assert "has no finite value: c." in text(verdict({"a": [0.1], "c": [math.inf]}, "maximize", PERCENT))


@pytest.mark.parametrize(
    ("samples", "headline", "detail"),
    [
        ({}, "No numbers yet: no verdict.", ""),
        ({"a": [0.3]}, "One seed: no verdict.", "a: 30.0 %, of one run."),
        ({"a": [0.3, 0.32]}, "One setting with several seeds: nothing to compare.", "a: 31.0 ± 1.4 % over 2 seeds."),
        ({"a": [0.3, 0.3], "b": [0.4, 0.4]}, "No verdict: the seeds agree exactly", ""),
    ],
)
def test_nothing_to_compare(samples: dict[str, list[float]], headline: str, detail: str):
    judged = verdict(samples, "maximize", PERCENT)
    assert judged.status == "none"
    assert judged.headline.startswith(headline)
    assert detail in text(judged)
