"""An ablation stays what it was begun as: no table mixes runs that differ in more than its sweep says."""

from pathlib import Path

import pytest

from llm2comp.errors import UserError
from llm2comp.sweeps.ablation import Ablation
from llm2comp.sweeps.sweep import Sweep
from tests.sweeps.conftest import WriteSweep

ROOT = Path("lightning_logs")


def train(begun: Ablation) -> None:
    """Leave what a run leaves when its training starts."""
    begun.begin()
    begun.runs[0].folder.path.mkdir()
    begun.runs[0].folder.config.touch()


def ablation(path: Path, *options: str) -> Ablation:
    return Ablation(Sweep.load(path).with_options(options), ROOT)


def test_its_folder_keeps_what_it_was_begun_with(write_sweep: WriteSweep, workplace: Path):
    begun = ablation(write_sweep(), "--steps", "3")
    train(begun)
    assert Sweep.load(ROOT / "ablation_twelve" / "sweep.yaml") == begun.sweep
    kept = ROOT / "ablation_twelve" / "experiment.yaml"
    assert kept.read_text() == (workplace / "experiment.yaml").read_text()
    begun.begin()


def test_its_runs_are_called_by_their_settings(write_sweep: WriteSweep):
    runs = ablation(write_sweep()).runs
    assert len(runs) == 12
    assert runs[7].name == "seed_everything=1,value=2"
    assert runs[7].folder.path == ROOT / "ablation_twelve" / runs[7].name
    assert runs[7].log == runs[7].folder.path / "log.txt"
    assert list(runs[7].command[-6:]) == [
        *("--seed_everything=1", "--value=2", "--root", "lightning_logs", "--run", runs[7].name),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [((), ("--steps", "3")), (("--steps", "3"), ()), (("--steps", "3"), ("--steps", "4"))],
    ids=str,
)
def test_other_options_are_refused(write_sweep: WriteSweep, before: tuple[str, ...], after: tuple[str, ...]):
    path = write_sweep()
    train(ablation(path, *before))
    kept = (ROOT / "ablation_twelve" / "sweep.yaml").read_text()
    with pytest.raises(UserError, match="was begun with other options") as refusal:
        ablation(path, *after).begin()
    then, now = (line for line in str(refusal.value).splitlines() if line.startswith("  "))
    assert then.startswith("  then: ")
    assert " ".join(before) in then
    assert " ".join(after) in now
    assert "--name twelve_2, or delete lightning_logs/ablation_twelve" in str(refusal.value)
    assert (ROOT / "ablation_twelve" / "sweep.yaml").read_text() == kept
    Ablation(Sweep.load(path).renamed("twelve_2").with_options(after), ROOT).begin()


def test_options_with_which_no_run_trained_may_be_corrected(write_sweep: WriteSweep):
    path = write_sweep()
    mistaken = ablation(path, "--stepz", "3")
    mistaken.begin()
    mistaken.runs[0].folder.path.mkdir()
    mistaken.runs[0].log.write_text("llm2comp: error: unrecognized arguments: --stepz\n")
    corrected = ablation(path, "--steps", "3")
    corrected.begin()
    assert Sweep.load(corrected.kept_sweep) == corrected.sweep


def test_other_fixed_values_and_other_parameters_are_refused(write_sweep: WriteSweep):
    value, seeds = {"values": [1, 2]}, {"values": [0, 1]}
    train(ablation(write_sweep(parameters={"value": value, "steps": {"value": 3}})))
    for parameters in ({"value": value, "steps": {"value": 4}}, {"value": value}, {"value": value, "seed": seeds}):
        with pytest.raises(UserError, match="was begun with other options"):
            ablation(write_sweep(parameters=parameters)).begin()


def test_a_sweep_may_get_more_values_and_another_description(write_sweep: WriteSweep):
    train(ablation(write_sweep(parameters={"value": {"values": [1, 2]}})))
    more = ablation(write_sweep(parameters={"value": {"values": [1, 2, 3]}}, description="Is 3 better?"))
    more.begin()
    assert Sweep.load(ROOT / "ablation_twelve" / "sweep.yaml") == more.sweep
    assert [run.name for run in more.runs] == ["value=1", "value=2", "value=3"]


def test_an_experiment_that_has_changed_is_refused(write_sweep: WriteSweep, workplace: Path):
    begun = ablation(write_sweep())
    train(begun)
    experiment = workplace / "experiment.yaml"
    experiment.write_text("# The same, with a comment.\ntrainer:\n  max_steps: 8\n")
    begun.check_experiments()
    experiment.write_text("trainer: {max_steps: 9}\n")
    for check in (begun.begin, begun.check_experiments):
        with pytest.raises(
            UserError, match=r"experiment\.yaml has changed since .*begun; as it was then: .*/experiment"
        ):
            check()


def test_an_experiment_that_is_not_there_is_named(write_sweep: WriteSweep, workplace: Path):
    begun = ablation(write_sweep())
    (workplace / "experiment.yaml").unlink()
    with pytest.raises(UserError, match=r"cannot read experiment\.yaml: No such file"):
        begun.begin()


def test_what_is_kept_is_without_secrets_and_home_paths_and_can_be_gone_on_with(
    write_sweep: WriteSweep, workplace: Path
):
    values = ["/home/ada/models/a", "/home/ada/models/b"]
    path = write_sweep(parameters={"encoder": {"values": values}, "hub.token": {"value": "planted1"}})
    (workplace / "experiment.yaml").write_text("data: /home/ada/text\nhub: {password: planted2}\n")
    begun = ablation(path, "--data", "/home/ada/text", "--api_key", "planted3")
    train(begun)
    begun.begin()
    begun.check_experiments()
    for kept in (ROOT / "ablation_twelve").rglob("*"):
        assert "ada" not in kept.name
        if kept.is_file():
            assert "/home/ada" not in kept.read_text()
            assert "planted" not in kept.read_text()
    kept_sweep = Sweep.load(ROOT / "ablation_twelve" / "sweep.yaml")
    assert kept_sweep.parameters == {"encoder": ("~/models/a", "~/models/b")}
    with pytest.raises(UserError, match="was begun with other options") as refusal:
        ablation(path, "--data", "/home/ada/other", "--api_key", "planted3").begin()
    assert "planted" not in str(refusal.value)
    (workplace / "experiment.yaml").write_text("data: /home/ada/other\nhub: {password: planted2}\n")
    with pytest.raises(UserError, match="has changed"):
        begun.check_experiments()
