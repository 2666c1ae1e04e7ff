"""What the numbers of an ablation allow to be said: which setting is best, and whether that is more than noise.

Settings are compared by Games and Howell's intervals, which hold for all pairs together, since best, next and worst are
picked after the numbers are seen. Where all settings are alike in truth, best and next, and best and worst, are told
apart in fewer than 7 of 100 ablations (simulated: 2 to 6 settings of 2 to 5 seeds, none or one of which scatters five
times as much as the others).

Runs are not paired by seed: what runs of one seed share across settings is little, and with a few seeds pairing halves
the degrees of freedom that there are. Where a seed does help all settings alike, the intervals are too wide, not too
narrow.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llm2comp.reporting.mean_difference import MeanDifference
from llm2comp.reporting.metric_names import Metric
from llm2comp.reporting.numbers import amount, difference_unit, signed, spread, with_unit
from llm2comp.sweeps.metric import Goal

Samples = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Verdict:
    """What may be said of an ablation.

    `status`: `clear` where the best setting is ahead of every other by more than the noise, `partial` where it is ahead
    of some, `noise` where it is ahead of none, and `none` where the runs do not allow a comparison. `best` is None
    there. `to_best`: by setting, how far it is from the best, in the metric's own unit and sign.
    """

    status: Literal["clear", "partial", "noise", "none"]
    headline: str
    details: tuple[str, ...] = ()
    best: str | None = None
    to_best: Mapping[str, MeanDifference] = field(default_factory=dict)


def verdict(samples: Samples, goal: Goal, metric: Metric) -> Verdict:
    """Compare the settings by the values that their runs, a seed each, reached; settings go by their names."""
    finite = {name: values for name, values in samples.items() if values and all(map(math.isfinite, values))}
    several = {name: values for name, values in finite.items() if len(values) > 1}
    asides = (*_diverged(samples), *_single(finite, several, metric))
    if not finite:
        return Verdict("none", "No numbers yet: no verdict.", asides)
    if not several:
        return Verdict("none", "One seed: no verdict.", (*_of_one_seed(finite, goal, metric), *asides))
    ranked = sorted(several, key=lambda name: statistics.fmean(several[name]), reverse=goal == "maximize")
    if len(ranked) == 1:
        (values,) = several.values()
        said = f"{ranked[0]}: {spread(values, metric)} over {_seeds(several)}."
        return Verdict("none", "One setting with several seeds: nothing to compare.", (said, *asides))
    best = several[ranked[0]]
    to_best = {name: MeanDifference.games_howell(several[name], best, len(ranked)) for name in ranked[1:]}
    if all(difference.low is None for difference in to_best.values()):
        return Verdict("none", "No verdict: the seeds agree exactly, so there is no noise to compare with.", asides)
    status, headline = _headline(ranked[0], to_best, _seeds(several))
    details = (*_comparisons(ranked[0], to_best, metric), _method(several), *_power(status, to_best, metric))
    return Verdict(status, headline, (*details, *asides), ranked[0], to_best)


def _headline(
    best: str, to_best: Mapping[str, MeanDifference], seeds: str
) -> tuple[Literal["clear", "partial", "noise"], str]:
    worse = [name for name, difference in to_best.items() if difference.exceeds_noise]
    alike = [name for name in to_best if name not in worse]
    if not alike:
        others = worse[0] if len(worse) == 1 else "every other setting"
        return "clear", f"{best} is best: it differs from {others} by more than the noise of {seeds}."
    if worse:
        return "partial", (
            f"{best} leads, but differs from {_few(alike)} by no more than the noise of {seeds}; {_few(worse)} "
            f"{'is' if len(worse) == 1 else 'are'} worse by more than that."
        )
    return "noise", f"No difference exceeds the noise of {seeds}; {best} leads."


def _comparisons(best: str, to_best: Mapping[str, MeanDifference], metric: Metric) -> list[str]:
    *_, worst = to_best
    following = next(iter(to_best))
    chosen = {following: "the next", worst: "the worst"} if worst != following else {following: "the other"}
    return [
        f"The best against {which}, {best} against {name}: {_interval(to_best[name], metric)}."
        for name, which in chosen.items()
    ]


def _interval(to_best: MeanDifference, metric: Metric) -> str:
    difference = f"{signed(-to_best.value, metric)} {difference_unit(metric)}".rstrip()
    if to_best.low is None or to_best.high is None:
        return f"{difference}, and the seeds of both agree exactly"
    interval = f"{signed(-to_best.high, metric)} to {signed(-to_best.low, metric)}"
    judged = "more than the noise" if to_best.exceeds_noise else "within the noise"
    return f"{difference} (95% interval {interval}), {judged}"


def _method(several: Samples) -> str:
    each = " each" if len({len(values) for values in several.values()}) == 1 else ""
    intervals = "Welch's interval" if len(several) == 2 else "Games and Howell's intervals, for all pairs together"
    return f"{_seeds(several).capitalize()}{each}. {intervals}."


def _power(status: str, to_best: Mapping[str, MeanDifference], metric: Metric) -> list[str]:
    """What would have been seen, where something was not: no difference seen is not the same as none."""
    reaches = [d.high - d.value for d in to_best.values() if d.high is not None and not d.exceeds_noise]
    if status == "clear" or not reaches:
        return []
    smallest = f"{amount(min(reaches), metric)} {difference_unit(metric)}".rstrip()
    return [f"That is not to say there is none: runs that scatter like these cannot show less than {smallest}."]


def _of_one_seed(finite: Samples, goal: Goal, metric: Metric) -> tuple[str, ...]:
    choose = max if goal == "maximize" else min
    best = choose(finite, key=lambda name: finite[name][0])
    if len(finite) == 1:
        return (f"{best}: {with_unit(finite[best][0], metric)}, of one run.",)
    return (
        f"{best} reads best, {with_unit(finite[best][0], metric)}, of one run each. How much of a difference is noise "
        "between seeds cannot be told: run each setting with three seeds or more.",
    )


def _single(finite: Samples, several: Samples, metric: Metric) -> list[str]:
    alone = [f"{name} ({with_unit(finite[name][0], metric)})" for name in finite if name not in several]
    return [f"Of one seed, and so not compared: {_listed(alone)}."] if alone and several else []


def _diverged(samples: Samples) -> list[str]:
    names = [name for name, values in samples.items() if not all(map(math.isfinite, values))]
    return [f"Not compared, for a run of it has no finite value: {_listed(names)}."] if names else []


def _seeds(several: Samples) -> str:
    counts = sorted({len(values) for values in several.values()})
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def _few(names: Sequence[str]) -> str:
    """The names where a sentence has room for them, else how many they are."""
    return _listed(names) if len(names) <= 3 else f"{len(names)} others"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
