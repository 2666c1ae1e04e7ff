"""Every command of the README and of docs/ is one that can be given: its options are read by the parser it is for."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed.run

from llm2comp.cli import COMMANDS, ablate, plan
from tests.cli.test_experiments import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
PROGRAMS = ("llm2comp", "make", "wandb", "torchrun", "sbatch", "python", ".ci/run")


def commands(document: Path) -> list[str]:
    """The lines of its blocks of code that start a program, comments and continued lines taken together, and what does
    so within a sentence; there, what has dots for something is none."""
    text = document.read_text(encoding="utf-8")
    lines = [line for _, block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += [" ".join(code.split()) for code in INLINE.findall(BLOCK.sub("", text)) if "..." not in code]
    found = [re.sub(r"^([A-Z_0-9]+=\S+ )+", "", line.strip()) for line in lines]  # without variables for this command
    return [line for line in found if line.startswith(tuple(f"{program} " for program in PROGRAMS))]


CASES = [
    pytest.param(command, id=f"{document.name}: {command}") for document in DOCUMENTS for command in commands(document)
]


def check(words: list[str]) -> None:
    """Raise unless the command can be given."""
    program, rest = words[0], words[1:]
    if program == "llm2comp":
        check_llm2comp(rest)
    elif program == "make":
        check_make(rest)
    elif program == "wandb":
        check_wandb(rest)
    elif program == "torchrun":
        options = torch.distributed.run.get_args_parser().parse_args(rest)
        # The program is named by `"$(command -v llm2comp)"`.
        assert options.training_script == "$(command -v llm2comp)"
        check_llm2comp(options.training_script_args)
    elif program == "sbatch":
        script, *arguments = [word for word in rest if not re.match(r"--(account|partition)=", word)]
        assert 'fit "$@"' in (ROOT / script).read_text(encoding="utf-8")
        check_llm2comp(["fit", *arguments])
    elif program == "python":
        check_python(rest)
    else:
        assert (ROOT / program).is_file()


def check_llm2comp(arguments: list[str]) -> None:
    if arguments == ["--help"]:
        return
    name, rest = arguments[0], arguments[1:]
    assert name in COMMANDS
    if rest in ([], ["--help"]):  # the command is named, or said to explain itself
        return
    module: Any = importlib.import_module(COMMANDS[name][0])
    if name in ("fit", "validate"):
        parse(["fit", *rest])
    elif name == "plan":
        plan.experiment(module._parser().parse_known_args(rest)[1])
    elif name == "ablate":
        ours, for_runs = ablate._divide(rest)
        sweep = module._parser().parse_args(ours).sweep
        assert sweep in [path.stem for path in (ROOT / "experiments" / "sweeps").glob("*.yaml")]
        parse(["fit", "--config", "experiments/pretrain_compress.yaml", *for_runs])
    elif name == "data":
        assert rest[0] == "mirror"
        module._parser().parse_args(rest[1:])
    else:
        module._parser().parse_args(rest)


def check_make(arguments: list[str]) -> None:
    """As `make` would run it: the target is there, and so is what it runs."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    # Without what the make that runs the tests was given: `make test ARGS=...` hands it on.
    environment = {"PATH": os.environ["PATH"]}
    shown = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    for line in shown.stdout.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        programs = [index for index, word in enumerate(words) if word.endswith("bin/llm2comp")]
        if programs:
            check_llm2comp(words[programs[0] + 1 :])


def check_python(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]) is not None
    elif arguments[0] != "-c":
        assert (ROOT / arguments[0]).is_file()
    for path in arguments:
        assert not path.startswith("tests/") or (ROOT / path).exists()


def check_wandb(arguments: list[str]) -> None:
    shown = subprocess.run(
        [Path(sys.executable).parent / "wandb", arguments[0], "--help"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    if arguments[0] == "sweep":
        assert (ROOT / arguments[1]).is_file()


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)


@pytest.mark.parametrize("command", CASES)
def test_the_command_can_be_given(command: str) -> None:
    check(shlex.split(command, comments=True))


def test_commands_are_found() -> None:
    programs = {case.values[0].split()[0] for case in CASES}
    assert {"llm2comp", "make", "wandb", "torchrun", "sbatch"} <= programs
    assert len(CASES) >= 30


@pytest.mark.parametrize(
    "command",
    [
        "llm2comp fit --config experiments/pretrain_compress.yaml --trainer.no_such_option 1",
        "llm2comp analyze --encoder a --no_such_option 1",
        "llm2comp evaluat --encoder a",
        "llm2comp ablate no_such_sweep",
        "make no-such-target",
        'make pretrain-mntp ARGS="--no_such_option 1"',
        "wandb no-such-command",
        "wandb sweep experiments/sweeps/no_such_sweep.yaml",
        "python -m benchmarks.no_such_module",
        "python -m pytest tests/no_such_test.py",
        "python benchmarks/no_such_script.py",
        "sbatch experiments/clusters/no_such_script.sh",
    ],
)
def test_a_wrong_command_is_noticed(command: str) -> None:
    with pytest.raises((AssertionError, SystemExit, ValueError, OSError)):
        check(shlex.split(command))
