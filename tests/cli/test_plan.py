"""`llm2comp plan` says what fits, in a table, in JSON and in a line to run."""

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from llm2comp.cli.plan import device_count, experiment, main, training
from llm2comp.encoder.config import EncoderConfig
from llm2comp.errors import UserError
from llm2comp.planning.model_size import model_size
from llm2comp.planning.plan import Plan
from tests.tiny import tiny_config

ROOT = Path(__file__).parents[2]
FOUR_BIT = ["--model.quantization", "4bit"]
EXPERIMENT = ["--config", str(ROOT / "experiments" / "pretrain_compress.yaml")]


@pytest.fixture
def config_alone(tmp_path: Path) -> str:
    """A folder of a model's configuration, without weights and without a tokenizer."""
    folder = tmp_path / "model"
    tiny_config("llama", num_hidden_layers=6, hidden_size=128, vocab_size=3200).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def planned(config_alone: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(*more: str) -> dict[str, Any]:
        main(["plan", *EXPERIMENT, "--encoder", config_alone, "--json", *more])
        return json.loads(capsys.readouterr().out)

    return run


def test_it_prints_parts_and_ends_with_a_line_to_run(config_alone: str, capsys: pytest.CaptureFixture[str]):
    main(["plan", *EXPERIMENT, "--encoder", config_alone, "--devices", "2", "--device-memory", "2", *FOUR_BIT])
    printed = capsys.readouterr().out
    for word in ("frozen weights", "trained weights", "gradients", "optimizer states", "activations"):
        assert word in printed
    for strategy in ("one device", "ddp", "fsdp2", "stage_2", "stage_3"):
        assert strategy in printed
    last = printed.strip().splitlines()[-1]
    start, _, command = last.partition(". To train: ")
    assert start == "Fits: ddp, deepspeed_stage_2, one device"
    assert "fsdp2: 4-bit weights cannot be divided" in printed
    words = shlex.split(command)
    assert words[:2] == ["llm2comp", "fit"]
    config = experiment(words[2:])
    assert (config.trainer.strategy, int(config.trainer.devices)) == ("ddp", 2)
    assert config.model.init_args.encoder == config_alone


def test_the_line_to_run_says_every_option_once(planned: Callable[..., dict[str, Any]]):
    options = ["--data.token_budget", "null", "--data.batch_size", "4", "--devices", "3", "--trainer.strategy=ddp"]
    advice = planned(*options, "--trainer.num_nodes", "1")["advice"]  # 4 texts are not for 3 devices
    start, _, command = advice.partition(". To train: ")
    assert start == "Fits: one device"
    assert "--trainer.strategy" not in command
    assert "--trainer.num_nodes" not in command
    assert command.count("--trainer.devices") == 1
    config = experiment(shlex.split(command)[2:])
    assert (int(config.trainer.devices), config.data.batch_size, config.data.token_budget) == (1, 4, None)


def test_progress_is_shown_in_a_terminal(
    config_alone: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("llm2comp.cli.plan.Console", partial(Console, force_terminal=True))
    main(["plan", *EXPERIMENT, "--encoder", config_alone, "--json"])
    printed = capsys.readouterr()
    assert "planning" in printed.err
    assert json.loads(printed.out)


def test_options_of_fit_count(config_alone: str):
    def memory(*more: str) -> dict[str, int]:
        options = [*EXPERIMENT, "--model.encoder", config_alone, *more]
        plan = Plan(training(experiment(options)), 1, 2**30)
        return plan.peak("one device", plan.batch.rows(1))

    plain = memory()

    def change(*more: str) -> dict[str, float]:
        changed = memory(*more)
        return {part: changed[part] / (plain[part] or 1) for part in plain}

    assert change("--data.token_budget", "1024")["activations"] > 1.8
    assert change("--model.dtype", "float32")["weights"] == pytest.approx(2, rel=0.01)
    assert change("--model.activation_checkpointing", "true")["activations"] < 0.5
    assert change("--model.quantization", "4bit")["weights"] < 0.9
    full = change("--model.lora", "null")
    assert full["frozen copy"] > 1e6
    assert full["gradients"] > 2
    assert change("--model.attention", "packed") == change("--model.attention", "sdpa")
    cpu = change("--trainer.accelerator", "cpu", "--model.dtype", "bfloat16")
    assert cpu["weights"] == pytest.approx(1, rel=0.01)
    assert cpu["activations"] != 1


def test_devices_are_those_of_all_nodes():
    config = experiment([*EXPERIMENT, "--trainer.devices", "2", "--trainer.num_nodes", "4"])
    assert device_count(config.trainer) == 8
    assert device_count(experiment(EXPERIMENT).trainer) == 1


def test_json_has_the_sizes(planned: Callable[..., dict[str, Any]], config_alone: str):
    plan = planned("--device-memory", "0.25")
    assert plan["encoder"] == config_alone
    assert plan["device_memory"] == 2**28
    assert plan["batch"] == {"option": "data.token_budget", "value": 512}
    assert 0 < plan["trained_parameters"] < plan["parameters"]
    (one,) = plan["strategies"]
    assert one["total"] == sum(one["memory"].values())
    assert one["fits"] is (one["total"] <= plan["usable"])


def test_smaller_batches_are_proposed_that_fit(planned: Callable[..., dict[str, Any]], config_alone: str):
    options = ["--data.token_budget", "null", "--data.batch_size", "96"]
    whole = Plan(training(experiment([*EXPERIMENT, "--model.encoder", config_alone, *options])), 1, 2**30)
    memory = 0.3 * whole.total("one device", 96)
    plan = planned(*options, "--device-memory", str(memory / 2**30))
    (one,) = plan["strategies"]
    assert not one["fits"]
    command = plan["advice"].partition("with one device: ")[2]
    assert command.count("--data.batch_size") == 1
    config = experiment(shlex.split(command)[2:])
    size, times = config.data.batch_size, config.trainer.accumulate_grad_batches
    assert size * times == 96
    assert size <= one["largest"]
    smaller = Plan(training(config), 1, memory)
    assert smaller.total("one device", size) <= smaller.usable


def test_where_nothing_fits_it_says_what_takes_less(planned: Callable[..., dict[str, Any]]):
    plan = planned("--device-memory", "0.001")
    assert plan["strategies"][0]["largest"] == 0
    assert plan["advice"].startswith("Nothing fits")
    assert "--model.activation_checkpointing true" in plan["advice"]
    assert "--model.quantization 4bit" in plan["advice"]


def test_an_encoder_folder_keeps_its_memory_tokens(tmp_path: Path):
    folder = tmp_path / "encoder"
    tiny_config("llama", hidden_size=64).save_pretrained(folder)
    EncoderConfig(num_memory_tokens=5, pooling="memory_mean", base=str(folder)).save(folder)
    options = [*EXPERIMENT, "--model.encoder", str(folder), "--model.lora.targets", "[q_proj]"]
    adapters = 2 * 16 * (64 + 64)
    own = training(experiment([*options, "--model.num_memory_tokens", "null"]))
    assert model_size(own).trained_parameters == adapters + 5 * 64
    with pytest.raises(UserError, match="has 5 memory tokens; set num_memory_tokens to that"):
        training(experiment([*options, "--model.num_memory_tokens", "8"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the experiment to plan: --config"),
        ([*EXPERIMENT, "--encoder", "no/such/folder/here"], "no model 'no/such/folder/here'"),
        ([*EXPERIMENT, "--model.objective", "Distilation"], "did you mean 'Distillation'"),
        ([*EXPERIMENT, "--model.num_memory_tokens", "0"], "set num_memory_tokens to 1 or more"),
        ([*EXPERIMENT, "--model.lora", "null", "--model.quantization", "4bit"], "4-bit weights cannot train"),
        ([*EXPERIMENT, "--trainer.accelerator", "tpu"], "not the accelerator 'tpu'"),
        ([*EXPERIMENT, "--data.token_budget", "100"], "less than the longest example"),
        ([*EXPERIMENT, "--data.batch_size", "4"], "not both"),
    ],
    ids=str,
)
def test_errors_say_what_to_do(arguments: list[str], message: str, config_alone: str):
    given = arguments if "--encoder" in arguments or not arguments else [*arguments, "--encoder", config_alone]
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        main(["plan", *given])
