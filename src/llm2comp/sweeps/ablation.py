"""An ablation on disk: the folder of a sweep's runs, and what it was begun with."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from llm2comp.errors import UserError
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.scrub import scrub, scrub_command
from llm2comp.sweeps.naming import run_name
from llm2comp.sweeps.options import named_options
from llm2comp.sweeps.planned_run import PlannedRun
from llm2comp.sweeps.sweep import Sweep


@dataclass(frozen=True)
class Ablation:
    """The runs of a sweep below `root`.

    Its folder keeps the sweep (`sweep.yaml`) and the experiments that its command names, as they were when it was
    begun, without home paths and secrets. A sweep may get more values later; whatever else all runs have in common
    stays as it was, so that no table mixes runs that differ in more than the sweep says.
    """

    sweep: Sweep
    root: Path

    @property
    def path(self) -> Path:
        return self.root / self.sweep.experiment

    @property
    def kept_sweep(self) -> Path:
        return self.path / "sweep.yaml"

    @property
    def runs(self) -> list[PlannedRun]:
        """All of its runs, in the order of the sweep."""
        return [self._run(run_name(setting), self.sweep.arguments(setting)) for setting in self.sweep.settings]

    def begin(self) -> None:
        """Keep what it is begun with, or, where it was begun before, see that this is what it was begun with.

        Raises:
            UserError: it was begun with something else, or an experiment cannot be read.
        """
        if self._has_trained:
            self._compare(Sweep.load(self.kept_sweep))
            self.check_experiments()
        else:
            self.path.mkdir(parents=True, exist_ok=True)
            for experiment in self._experiments():
                _write(self._kept(experiment), _without_secrets(_text(experiment)))
        _write(self.kept_sweep, self.sweep.to_yaml())

    def check_experiments(self) -> None:
        """Raise UserError if an experiment is no longer what it was when the ablation was begun."""
        for experiment in self._experiments():
            kept = self._kept(experiment)
            if yaml.safe_load(_without_secrets(_text(experiment))) != yaml.safe_load(_text(kept)):
                raise self._mixed(f"{experiment} has changed since {self.path} was begun; as it was then: {kept}")

    @property
    def _has_trained(self) -> bool:
        """Whether there are runs to mix with; one that was refused, as for a mistyped option, leaves no config.yaml."""
        return self.kept_sweep.is_file() and any(self.path.glob("*/config.yaml"))

    def _run(self, name: str, arguments: list[str]) -> PlannedRun:
        command = (*arguments, "--root", str(self.root), "--run", name)
        return PlannedRun(RunFolder(self.root, self.sweep.experiment, name), command)

    def _compare(self, begun: Sweep) -> None:
        before, now = (_common(sweep) for sweep in (begun, self.sweep))
        if before != now:
            raise self._mixed(f"{self.path} was begun with other options:\n  then: {before}\n  now:  {now}")

    def _mixed(self, difference: str) -> UserError:
        name = self.sweep.name
        return UserError(
            f"{difference}\nOne table must not mix the two: go on as it was begun, keep what you do now apart with "
            f"--name, as in --name {name}_2, or delete {self.path}"
        )

    def _experiments(self) -> list[Path]:
        return [Path(path) for path in named_options(self.sweep.command).get("config", [])]

    def _kept(self, experiment: Path) -> Path:
        return self.path / "-".join(part for part in experiment.parts if part not in ("/", ".", ".."))


def _common(sweep: Sweep) -> str:
    """What all runs of the sweep have in common, as a line."""
    fixed = [f"--{key}={value}" for key, value in sweep.fixed.items()]
    varied = [f"--{key}=..." for key in sorted(sweep.parameters)]
    return " ".join(scrub_command([*(word for word in sweep.command if word != "${args}"), *fixed, *varied]))


def _without_secrets(text: str) -> str:
    """The text of a YAML file as it is, or, where there is something to take out, its content without that."""
    content = yaml.safe_load(text)
    kept = scrub(content)
    return text if kept == content else yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; start in the root of the repository") from error


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
