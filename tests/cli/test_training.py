"""`llm2comp fit` and `validate`, from arguments to what lies in the run folder, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
import yaml

from llm2comp.cli import main
from llm2comp.encoder.encoder import Encoder
from llm2comp.reporting.metrics_file import read_metrics
from tests.cli.conftest import Arguments

Folder = Callable[[str], Path]
Refused = Callable[[list[str]], str]


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_a_run_leaves_everything_in_its_folder_and_says_what_it_did(
    arguments: Arguments, run_folder: Folder, capsys: pytest.CaptureFixture[str], lm_folder: Path
):
    main(arguments("--run", "a"))
    folder = run_folder("a")
    assert {path.name for path in folder.iterdir()} == {
        *("config.yaml", "metrics.csv", "checkpoints", "encoder", "curves.png"),
        *("results.json", "geometry.png", "geometry.pdf"),
    }
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    metrics = read_metrics(folder / "metrics.csv")
    assert [step for step, _ in metrics["train/loss"]] == list(range(12))
    # Before training, in its course, and at its end, where no interval ends.
    assert [step for step, _ in metrics["val/context_recovered"]] == [0, 4, 9, 11]
    for name in ("val/loss", "val/retrieval_mrr", "val/effective_dimension", "val/memory_correlation", "train/mfu"):
        assert name in metrics
    assert load(folder / "checkpoints" / "last.ckpt")["global_step"] == 12

    printed = capsys.readouterr().out
    assert "before and after training" in printed
    assert "context recovered" in printed
    assert f"llm2comp reconstruct --encoder {folder.relative_to(Path.cwd())}/encoder" in printed

    encoder = Encoder.from_pretrained(folder / "encoder", dtype="float32")
    assert encoder.num_memory_tokens == 3
    (stage,) = encoder.config.stages
    assert stage["run"] == "a"
    assert encoder.config.base == str(lm_folder)


def test_the_best_weights_are_exported(arguments: Arguments, run_folder: Folder):
    # By a measure that the first validation is the best by.
    main(arguments("--run", "a", "--monitor", "val/loss", "--monitor_mode", "max", "--trainer.logger", "false"))
    best, last = (load(run_folder("a") / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert best["global_step"] < last["global_step"]
    encoder = Encoder.from_pretrained(run_folder("a") / "encoder", dtype="float32")
    assert encoder.memory is not None
    assert torch.equal(encoder.memory.rows, best["state_dict"]["encoder.memory.rows"])
    assert encoder.config.stages[0]["steps"] == best["global_step"]


def test_the_configuration_is_written_in_full_and_makes_the_run_again(arguments: Arguments, run_folder: Folder):
    main(arguments("--run", "a", "--trainer.max_steps", "4"))
    written = yaml.safe_load((run_folder("a") / "config.yaml").read_text())
    assert written["model"]["init_args"]["objective"]["init_args"] == {"temperature": 1.0, "reverse": False}
    assert written["model"]["init_args"]["lora"]["rank"] == 16
    assert written["trainer"]["max_steps"] == 4
    assert written["data"]["seed"] == 0
    main(["fit", "--config", str(run_folder("a") / "config.yaml"), "--run", "b"])
    first, second = (read_metrics(run_folder(run) / "metrics.csv")["train/loss"] for run in "ab")
    assert first == second


def test_wandb_is_given_the_full_configuration(arguments: Arguments, run_folder: Folder):
    main(arguments("--run", "a", "--trainer.max_steps", "2"))
    assert wandb.run is not None
    config = dict(wandb.run.config)
    written = yaml.safe_load((run_folder("a") / "config.yaml").read_text())
    for key in ("data", "seed_everything", "monitor", "checkpoint_every", "keep_checkpoints"):
        assert config[key] == written[key]
    assert config["model"]["class_path"] == "llm2comp.modules.EncoderTraining"
    assert config["model"]["init_args"]["objective"] == written["model"]["init_args"]["objective"]
    assert config["trainer"]["max_steps"] == 2


def test_last_resumes_the_run_to_the_losses_of_one_that_went_through(arguments: Arguments, run_folder: Folder):
    main(arguments("--run", "straight"))
    # An end is an end of the schedule too, so the run is cut short in time, not in steps.
    short = Shortened(at=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llm2comp.cli.training.Throughput.on_train_batch_start", short)
        with pytest.raises(RuntimeError, match="the power went"):
            main(arguments("--run", "cut"))
    assert load(run_folder("cut") / "checkpoints" / "last.ckpt")["global_step"] == 7
    main(arguments("--run", "cut", "--ckpt_path", "last"))
    straight, resumed = (read_metrics(run_folder(run) / "metrics.csv") for run in ("straight", "cut"))
    for name in ("train/loss", "train/lr", "val/loss", "val/context_recovered"):
        assert resumed[name] == straight[name]
    assert yaml.safe_load((run_folder("cut") / "config.yaml").read_text())["ckpt_path"] is None


def test_any_checkpoint_can_be_gone_on_from_in_a_new_run(arguments: Arguments, run_folder: Folder):
    # By a measure that an early validation is the best by.
    worst = ["--monitor", "val/loss", "--monitor_mode", "max"]
    main(arguments("--run", "a", *worst))
    main(arguments("--run", "b", *worst, "--ckpt_path", str(run_folder("a") / "checkpoints" / "best.ckpt")))
    start = load(run_folder("a") / "checkpoints" / "best.ckpt")["global_step"]
    assert 0 < start < 12
    straight, resumed = (read_metrics(run_folder(run) / "metrics.csv") for run in "ab")
    for name in ("train/loss", "train/lr", "val/loss"):
        assert resumed[name] == [point for point in straight[name] if point[0] >= start]


def test_checkpoints_are_kept_by_step_and_hold_what_trains(
    arguments: Arguments, run_folder: Folder, refused: Refused, capsys: pytest.CaptureFixture[str]
):
    quiet = ["--trainer.logger", "false", "--run", "a"]
    main(arguments(*quiet, "--keep_checkpoints", "all", "--trainer.max_steps", "9"))
    folder = run_folder("a") / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("best.ckpt", "last.ckpt", "step=3.ckpt", "step=6.ckpt", "step=9.ckpt")
    ]
    last, kept = load(folder / "last.ckpt"), load(folder / "step=9.ckpt")
    assert kept["state_dict"].keys() == last["state_dict"].keys()
    assert all(torch.equal(kept["state_dict"][name], tensor) for name, tensor in last["state_dict"].items())
    capsys.readouterr()
    message = refused(arguments("--run", "b", "--trainer.logger", "false", "--ckpt_path", str(folder / "step=6.ckpt")))
    assert "the checkpoint of step 6 holds weights only" in message
    assert "resume from last.ckpt or best.ckpt" in message
    main(arguments("--ckpt_path", str(folder / "step=6.ckpt"), subcommand="validate"))

    main(arguments(*quiet, "--keep_checkpoints", "2", "--ckpt_path", "last"))
    assert load(folder / "last.ckpt")["global_step"] == 12
    assert sorted(path.name for path in folder.glob("step*")) == ["step=12.ckpt", "step=9.ckpt"]


class Shortened:
    """Stands in for a hook of a callback and fails when it is called for this time."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("the power went")


def test_last_without_a_name_is_the_newest_run_or_the_one_that_processes_agree_on(
    arguments: Arguments, run_folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    for run in ("b", "a"):
        main(arguments("--run", run, "--trainer.max_steps", "2", "--trainer.logger", "false"))
    resume = arguments("--ckpt_path", "last", "--trainer.max_steps", "4", "--trainer.logger", "false")
    monkeypatch.delenv("LLM2COMP_RUN")  # which each run has set
    main(resume)
    steps = {run: load(run_folder(run) / "checkpoints" / "last.ckpt")["global_step"] for run in "ab"}
    assert steps == {"a": 4, "b": 2}
    monkeypatch.setenv("LLM2COMP_RUN", "b")
    main(resume)
    assert load(run_folder("b") / "checkpoints" / "last.ckpt")["global_step"] == 4


@pytest.mark.parametrize(
    "options",
    [
        ["--model.lora", "null"],
        ["--data.batch_size", "4", "--data.token_budget", "null"],
        ["--data.validation_fraction", "0"],
        ["--trainer.max_steps", "-1", "--trainer.max_epochs", "1"],
        ["--trainer.fast_dev_run", "true"],
        ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"],
        ["--trainer.enable_checkpointing", "false"],
        ["--trainer.max_steps", "1"],
        ["--model.objective", "Reconstruction"],
        ["--model.objective", "llm2comp.objectives.Continuation", "--model.learn_memory_scale", "true"],
    ],
    ids=" ".join,
)
def test_options_that_change_the_course_of_a_run(arguments: Arguments, run_folder: Folder, options: list[str]):
    main(arguments("--run", "a", "--trainer.max_steps", "3", *options))
    assert Encoder.from_pretrained(run_folder("a") / "encoder").encode("fox").shape == (32,)


def test_a_weighted_sum_is_written_in_yaml(arguments: Arguments, run_folder: Folder, tmp_path: Path):
    objectives = [{"class_path": f"llm2comp.objectives.{name}"} for name in ("Distillation", "Reconstruction")]
    objective = {
        "class_path": "llm2comp.objectives.WeightedSum",
        "init_args": {"objectives": objectives, "weights": [1.0, 0.5]},
    }
    overlay = {"model": {"init_args": {"objective": objective}}}
    (tmp_path / "sum.yaml").write_text(yaml.safe_dump(overlay))
    main(arguments("--config", str(tmp_path / "sum.yaml"), "--run", "a", "--trainer.max_steps", "2"))
    assert (run_folder("a") / "encoder").is_dir()


def test_the_table_has_an_after_when_there_is_one_step(
    arguments: Arguments, capsys: pytest.CaptureFixture[str], run_folder: Folder
):
    main(arguments("--run", "a", "--trainer.max_steps", "1"))
    assert len(read_metrics(run_folder("a") / "metrics.csv")["val/loss"]) == 2
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "context recovered" in line]
    assert " - " not in line


def recovered(printed: str) -> float:
    """The context recovered in Lightning's table."""
    (line,) = [line for line in printed.splitlines() if "val/context_recovered" in line]
    return float(line.split()[3])


def test_validate_measures_a_checkpoint(arguments: Arguments, run_folder: Folder, capsys: pytest.CaptureFixture[str]):
    main(arguments("--run", "a"))
    capsys.readouterr()
    main(arguments("--run", "a", "--ckpt_path", "last", subcommand="validate"))
    printed = capsys.readouterr().out
    before, *_, after = (value for _, value in read_metrics(run_folder("a") / "metrics.csv")["val/context_recovered"])
    assert recovered(printed) == pytest.approx(after, rel=1e-5)
    main(arguments(subcommand="validate"))
    assert recovered(capsys.readouterr().out) == pytest.approx(before, rel=1e-5)
    assert before != pytest.approx(after, rel=1e-3)
    assert [path.name for path in run_folder("a").parent.iterdir()] == ["a"]


def test_print_config_prints_what_would_be_run(arguments: Arguments, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(arguments("--print_config"))
    assert stop.value.code == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["max_steps"] == 12
    assert config["model"]["init_args"]["objective"]["class_path"] == "llm2comp.objectives.Distillation"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model.encoder", "embedded:smollm"],
            "unknown model 'embedded:smollm'; did you mean 'embedded:smollm2-135m'",
        ),
        (["--model.encoder", "./nowhere"], "no model './nowhere'"),
        (
            ["--data.train", "embedded:wikpedia"],
            "unknown source 'embedded:wikpedia'; did you mean 'embedded:wikipedia'",
        ),
        (["--model.objective", "Distilation"], "unknown objective 'Distilation'; did you mean 'Distillation'"),
        (["--model.objective.class_path", "llm2comp.objectives.Continuaton"], "did you mean 'Continuation'"),
        (["--model", "Pretrainin"], "unknown model 'Pretrainin'; did you mean 'EncoderTraining'"),
        (["--model.objective.temperature", "0"], "the temperature of distillation must be above 0, not 0.0"),
        (["--model.num_memory_tokens", "0"], "compression needs memory tokens to compress into"),
        (["--model.lora.rank", "0"], "LoRA rank must be at least 1, not 0"),
        (["--model.lora.targets", "[q_prj]"], "unknown LoRA target 'q_prj'; did you mean 'q_proj'"),
        (["--model.optimization.warmup", "-1"], "warmup must be a share"),
        (["--data.batch_size", "4"], "give either batch_size"),
        (["--data.min_characters", "100000"], "no text is left of"),
        (["--monitor", "val/context_recoverd"], "did you mean 'val/context_recovered'"),
        (["--trainer.max_steps", "-1"], "set trainer.max_steps or max_epochs"),
        (["--nothing.like.it", "3"], "unrecognized arguments: --nothing.like.it 3"),
        (["--trainer.max_stepz", "3"], "unknown option 'trainer.max_stepz'; did you mean 'trainer.max_steps'"),
        (
            ["--model.num_memory_token", "3"],
            "unknown option of EncoderTraining 'num_memory_token'; did you mean 'num_memory_tokens'",
        ),
        (["--model.objective.temprature", "3"], "unknown option of Distillation 'temprature'; did you mean 'temper"),
        (["--config", "nowhere.yaml"], "File does not exist"),
        (["--ckpt_path", "last"], "no run to be found"),
        (["--ckpt_path", "last", "--run", "none"], "there is no checkpoint lightning_logs/pretrain_compress/none"),
        (["--ckpt_path", "nowhere.ckpt"], "there is no checkpoint nowhere.ckpt"),
        (["--run", "a/b"], "cannot be named 'a/b'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_message_and_exit_status_two(
    arguments: Arguments, refused: Refused, options: list[str], message: str, workplace: Path
):
    printed = refused(arguments("--trainer.logger", "false", *options))
    assert message in printed
    assert len(printed.splitlines()) < 15
    # What was refused before training has left nothing, so the next try may have the same name.
    assert not [path for path in workplace.rglob("*") if path.is_file()]


def test_a_folder_that_holds_something_is_not_written_to(arguments: Arguments, refused: Refused, run_folder: Folder):
    run_folder("a").mkdir(parents=True)
    (run_folder("a") / "notes.txt").write_text("mine")
    assert "exists and is not empty; choose another run name" in refused(arguments("--run", "a"))
    assert [path.name for path in run_folder("a").iterdir()] == ["notes.txt"]


def test_an_empty_corpus_says_what_was_dropped_by_which_filter(arguments: Arguments, refused: Refused):
    message = refused(arguments("--data.min_characters", "100000"))
    assert "of 120 paragraphs were dropped 120 shorter than 100,000 characters" in message


def test_a_checkpoint_of_another_configuration_is_refused_and_kept(
    arguments: Arguments, refused: Refused, run_folder: Folder
):
    main(arguments("--run", "a", "--trainer.max_steps", "2", "--trainer.logger", "false"))
    checkpoint = run_folder("a") / "checkpoints" / "last.ckpt"
    config = run_folder("a") / "config.yaml"
    before = checkpoint.read_bytes(), config.read_bytes()
    resume = ["--run", "a", "--ckpt_path", "last", "--trainer.logger", "false"]
    message = refused(arguments(*resume, "--model.lora.rank", "8"))
    assert "the checkpoint is from another configuration" in message
    assert "lora_A" in message
    assert "other data options (token_budget was 512 and is 256)" in refused(
        arguments(*resume, "--data.token_budget", "256")
    )
    assert (checkpoint.read_bytes(), config.read_bytes()) == before
