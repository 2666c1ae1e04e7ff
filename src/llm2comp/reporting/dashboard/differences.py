"""In which options the runs of an ablation differ, and whether the sweep means them to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm2comp.reporting.dashboard.options import Options, option_text
from llm2comp.reporting.dashboard.parameter import SEED
from llm2comp.sweeps.options import option_of
from llm2comp.sweeps.sweep import GIVEN

ABSENT = "absent"


@dataclass(frozen=True)
class Difference:
    """An option, and for each of its values as text the runs that have it, by name."""

    option: str
    runs: Mapping[str, Sequence[str]]
    is_swept: bool


def differences(options: Mapping[str, Options], swept: Iterable[str]) -> list[Difference]:
    """The options that are not alike in all runs, given by name: those of the sweep first.

    What lies below a swept option belongs to it, as the arguments of a class do that the sweep names.
    """
    swept = [key.removesuffix(".class_path") for key in (SEED, *swept)]
    found = []
    for option in dict.fromkeys(key for each in options.values() for key in each):
        runs: dict[str, list[str]] = {}
        for name, each in options.items():
            runs.setdefault(option_text(each[option]) if option in each else ABSENT, []).append(name)
        if len(runs) > 1 and option not in GIVEN:
            found.append(Difference(option, runs, any(option_of(option, key) for key in swept)))
    return sorted(found, key=lambda difference: not difference.is_swept)
