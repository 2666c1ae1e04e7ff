"""A sweep: the runs of an ablation."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from llm2comp.errors import UserError, unknown
from llm2comp.reporting.scrub import last_part, scrub, scrub_command
from llm2comp.sweeps.metric import Metric
from llm2comp.sweeps.naming import run_name
from llm2comp.sweeps.options import named_options, option_of
from llm2comp.sweeps.reading import read_sweep
from llm2comp.sweeps.values import chosen, configured

# The value of each varied option by its dotted name.
Setting = dict[str, Any]

SWEEPS = Path("experiments/sweeps")
# Options that tell one run of an ablation from another and are given to each run.
GIVEN = ("run", "root", "ckpt_path")


@dataclass(frozen=True)
class Sweep:
    """What an ablation varies, and how one of its runs is started.

    `description`: the question it answers. `parameters`: the values of each varied option by its dotted name. `fixed`:
    options that are the same in all runs. `command`: the arguments that start a run, `${args}` among them.
    """

    name: str
    description: str
    metric: Metric
    parameters: Mapping[str, tuple[Any, ...]]
    fixed: Mapping[str, Any]
    command: tuple[str, ...]

    @classmethod
    def load(cls, path: str | Path) -> "Sweep":
        """Read a file in W&B's sweep format.

        Raises:
            UserError: it cannot be read, is not a sweep, or needs W&B's server.
        """
        parts = read_sweep(Path(path))
        sweep = cls(**parts)
        experiment = named_options(sweep.command).get("experiment")
        if experiment != [sweep.experiment]:
            raise UserError(f"{path}: the command must name the folder of its runs: --experiment, {sweep.experiment}")
        names = [run_name(setting) for setting in sweep.settings]
        if same := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{path}: two of its runs would be called {same[0]}; name the values apart")
        return sweep

    @classmethod
    def find(cls, name: str) -> "Sweep":
        """The sweep in the file `name`, or of that name in experiments/sweeps.

        Raises:
            UserError: as `load`, or there is no such sweep.
        """
        if name.endswith((".yaml", ".yml")) or Path(name).is_file():
            return cls.load(name)
        known = [path.stem for path in SWEEPS.glob("*.yaml")]
        if not known:
            raise UserError(f"there is no {SWEEPS}/*.yaml here: start in the root of the repository, or name a file")
        if name not in known:
            raise unknown("sweep", name, known)
        return cls.load(SWEEPS / f"{name}.yaml")

    @property
    def experiment(self) -> str:
        """The folder of its runs below the root of all experiments."""
        return f"ablation_{self.name}"

    @property
    def settings(self) -> list[Setting]:
        """Every combination of the values; the values of the last parameter change fastest."""
        combinations = itertools.product(*self.parameters.values())
        return [dict(zip(self.parameters, values, strict=True)) for values in combinations]

    def arguments(self, setting: Setting) -> list[str]:
        """The command of the run with this setting, as W&B's agent makes it."""
        options = [f"--{key}={value}" for key, value in {**self.fixed, **setting}.items()]
        return [part for word in self.command for part in (options if word == "${args}" else [word])]

    def setting_of(self, config: Mapping[str, Any]) -> Setting | None:
        """The setting that a run's configuration, as in its config.yaml, has; None where it is of another sweep."""
        try:
            return {key: chosen(values, configured(config, key)) for key, values in self.parameters.items()}
        except KeyError:
            return None

    def with_options(self, options: Sequence[str]) -> "Sweep":
        """The sweep whose runs all take these options of `llm2comp fit` besides.

        Raises:
            UserError: one of them is what the sweep varies, or is given to each run.
        """
        for name in named_options(options):
            for varied in self.parameters:
                if option_of(name, varied) or option_of(varied, name):
                    raise UserError(f"--{name} cannot be set for all runs: the sweep {self.name!r} varies {varied}")
            if name in (*GIVEN, "experiment"):
                raise UserError(f"--{name} is given to each run; see 'llm2comp ablate --help' for --root and --name")
        fixed = {key: value for key, value in self.fixed.items() if key not in named_options(options)}
        place = self.command.index("${args}")
        return replace(self, fixed=fixed, command=(*self.command[:place], *options, *self.command[place:]))

    def renamed(self, name: str) -> "Sweep":
        """The sweep under another name, so that its runs lie in another folder."""
        renamed = replace(self, name=name)
        said = {
            word: word.removesuffix(self.experiment) for word in (self.experiment, f"--experiment={self.experiment}")
        }
        command = tuple(said[word] + renamed.experiment if word in said else word for word in self.command)
        return replace(renamed, command=command)

    def to_yaml(self) -> str:
        """The sweep as W&B reads it, without home paths and secrets."""
        varied = {key: {"values": scrub(values, last_part(key))} for key, values in self.parameters.items()}
        fixed = {key: {"value": scrub(value, last_part(key))} for key, value in self.fixed.items()}
        content = {
            "name": self.name,
            "description": self.description,
            "program": self.command[0],  # the agent asks for it, whatever the command
            "method": "grid",
            "metric": {"name": self.metric.name, "goal": self.metric.goal},
            "parameters": {**varied, **fixed},
            "command": scrub_command(self.command),
        }
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
