"""What an ablation has come to: its runs, and the settings that they tried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm2comp.reporting.dashboard.parameter import SEED, Parameter, parameters, setting_label, value_text
from llm2comp.reporting.dashboard.run import Run, runs_in
from llm2comp.reporting.dashboard.setting import Setting
from llm2comp.reporting.scrub import scrub
from llm2comp.sweeps.sweep import Sweep


@dataclass(frozen=True)
class AblationResults:
    """All `runs` of a sweep, and the settings in its order.

    `settings` have the runs that count: finished, and one a seed. `attempts` have all, however far they came. Runs that
    do not count though they finished: `repeated`, for a later one has the same setting and seed, and `strangers`, for
    the sweep has no setting like theirs.
    """

    sweep: Sweep
    parameters: tuple[Parameter, ...]
    runs: tuple[Run, ...]
    settings: tuple[Setting, ...]
    attempts: tuple[Setting, ...]
    repeated: tuple[Run, ...]
    strangers: tuple[Run, ...]

    @classmethod
    def load(cls, root: Path, sweep: Sweep) -> "AblationResults":
        """The ablation whose runs lie below `root`."""
        swept = parameters(sweep.parameters)
        runs = runs_in(root, sweep.experiment)
        seeds = {run.name: run.options.get(SEED, run.name) for run in runs}
        attempts = _settings(sweep, swept, runs, lambda run: True)
        newest = {
            (attempt.texts, seeds[run.name]): run.name
            for attempt in attempts
            for run in sorted(attempt.runs, key=lambda run: run.changed)
            if run.state == "finished"
        }
        counted = set(newest.values())
        known = {run.name for attempt in attempts for run in attempt.runs}
        finished = [run for run in runs if run.state == "finished"]
        return cls(
            sweep=sweep,
            parameters=swept,
            runs=tuple(runs),
            settings=_settings(sweep, swept, runs, lambda run: run.name in counted),
            attempts=attempts,
            repeated=tuple(run for run in finished if run.name in known - counted),
            strangers=tuple(run for run in finished if run.name not in known),
        )


def _settings(
    sweep: Sweep, swept: Sequence[Parameter], runs: Sequence[Run], counts: Callable[[Run], bool]
) -> tuple[Setting, ...]:
    """The settings of the sweep with the runs that count, by seed; those without any are left out."""
    groups: dict[str, Setting] = {}
    for planned in sweep.settings:
        values = tuple(scrub(planned[parameter.key]) for parameter in swept)
        texts = tuple(map(value_text, values))
        groups.setdefault(repr(values), Setting(values, texts, setting_label(swept, texts)))
    for run in sorted(runs, key=lambda run: (run.seed is None, run.seed or 0, run.name)):
        setting = sweep.setting_of(run.config) if counts(run) else None
        if setting is not None:
            key = repr(tuple(scrub(setting[parameter.key]) for parameter in swept))
            groups[key] = groups[key].with_run(run)
    return tuple(group for group in groups.values() if group.runs)
