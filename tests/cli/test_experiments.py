"""Every experiment is one the command line accepts; no weights are loaded and no hub is asked."""

import re
import shlex
import socket
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import LightningModule

from llm2comp.backbone.embedded import EMBEDDED_MODELS
from llm2comp.backbone.spec import resolve
from llm2comp.cli.parser import Parser
from llm2comp.cli.plan import Reading
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.settings import DataSettings
from llm2comp.data.sources.hub import HubDataset
from llm2comp.reporting.metric_names import METRICS
from llm2comp.sweeps.sweep import Sweep

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted(path for path in (ROOT / "experiments").rglob("*.yaml") if "sweeps" not in path.parts)
SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))
PAPER = ROOT / "experiments" / "paper" / "llama2-7b"
MNTP_MODELS = ("sheared-llama-1.3b", "llama2-7b", "mistral-7b", "llama3-8b")


def parse(arguments: list[str]) -> dict[str, Any]:
    return Reading(arguments).config.fit.as_dict()


def test_a_file_of_text_is_a_source_and_not_a_configuration(tmp_path: Path):
    text = tmp_path / "text.txt"
    text.write_text("Plain prose that is a scalar in YAML.\nA second paragraph.\n")
    config = ROOT / "experiments" / "pretrain_compress.yaml"
    arguments = ["fit", "--config", str(config), "--data.train", str(text), "--data.validation", str(text)]
    data = parse(arguments)["data"]
    assert (data["train"], data["validation"]) == (str(text), str(text))


def command(path: Path) -> list[str]:
    """The command that the head of the file gives, or else `fit` with the file alone."""
    head = [line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")]
    commands = [line for line in head if line.startswith("llm2comp fit")]
    return shlex.split(commands[0])[1:] if commands else ["fit", "--config", str(path.relative_to(ROOT))]


@pytest.fixture(autouse=True)
def _from_the_root_without_a_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("an experiment was parsed by way of the network")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("LLM2COMP_DATA", raising=False)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: str(path.relative_to(ROOT / "experiments")))
def test_it_parses_with_the_command_at_its_head(path: Path):
    arguments = command(path)
    assert str(path.relative_to(ROOT)) in arguments
    config = parse(arguments)
    given = yaml.safe_load(path.read_text())
    for key in ("experiment", "monitor"):
        if key in given:
            assert config[key] == given[key]
    assert config["experiment"] != "experiment"
    # What of it is checked only when it is made, and can be made without weights and hub.
    train = config["data"]["train"]
    if isinstance(train, list):
        config["data"]["train"] = train = [PairSet(**each) for each in train]
    DataSettings(**config["data"])
    for source in filter(None, (train, config["data"]["validation"])):
        if isinstance(source, str) and source.startswith("hub:"):
            assert re.fullmatch("[0-9a-f]{40}", HubDataset(source).revision)
    encoder = config["model"]["init_args"]["encoder"]
    if encoder.startswith("embedded:"):
        assert encoder.removeprefix("embedded:") in EMBEDDED_MODELS
    elif not encoder.startswith(("path/to/", "lightning_logs/")):  # what an earlier stage writes
        assert re.fullmatch("[0-9a-f]{40}", resolve(encoder).revision or "")


def test_there_are_experiments_to_parse():
    names = {str(path.relative_to(ROOT / "experiments")) for path in EXPERIMENTS}
    assert {"pretrain_compress.yaml", "pretrain_mntp.yaml", "pretrain_llama2vec.yaml"} <= names
    assert {f"paper/{model}/mntp.yaml" for model in MNTP_MODELS} <= names
    assert {f"paper/llama2-7b/pretrain_compress_{objective}.yaml" for objective in ("kl", "nll", "rc")} <= names


def test_the_recipes_of_the_paper_are_its_numbers_and_differ_in_the_objective_alone():
    configs = {name: parse(command(PAPER / f"pretrain_compress_{name}.yaml")) for name in ("kl", "nll", "rc")}
    objectives = {name: config["model"]["init_args"].pop("objective") for name, config in configs.items()}
    assert {name: objective["class_path"].rpartition(".")[2] for name, objective in objectives.items()} == {
        "kl": "Distillation",
        "nll": "Continuation",
        "rc": "Reconstruction",
    }
    assert objectives["kl"]["init_args"] == {"temperature": 1.0, "reverse": False}
    for config in configs.values():
        del config["experiment"], config["config"]
    assert configs["kl"] == configs["nll"] == configs["rc"]
    model, trainer, data = (configs["kl"][key] for key in ("model", "trainer", "data"))
    assert model["init_args"]["lora"] == {
        "rank": 16,
        "alpha": 32,
        "dropout": 0.05,
        "targets": ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    }
    assert model["init_args"]["optimization"] == {
        "learning_rate": 1e-4,
        "final_learning_rate": 1e-5,
        "warmup": 3200,
        "weight_decay": 1e-5,
    }
    assert (model["init_args"]["num_memory_tokens"], model["init_args"]["max_length"]) == (8, 512)
    assert (trainer["max_steps"], trainer["gradient_clip_val"], data["batch_size"]) == (32_000, 2.0, 4)
    assert data["min_characters"] == 1000


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mntp", {"num_memory_tokens": 0, "pooling": "mean"}),
        ("llama2vec", {"direction": "causal"}),
    ],
)
def test_a_baseline_is_pretrained_as_compression_is_but_for_what_makes_it_another(name: str, own: dict[str, Any]):
    experiments = ROOT / "experiments"
    baseline, compress = (parse(command(experiments / f"pretrain_{which}.yaml")) for which in (name, "compress"))
    arguments = baseline["model"]["init_args"]
    assert {key: arguments[key] for key in own} == own
    for config in (baseline, compress):
        for key in ("experiment", "config", "monitor", "monitor_mode"):
            del config[key]
        for key in ("objective", *own):
            del config["model"]["init_args"][key]
    assert baseline == compress


@pytest.mark.parametrize("model", MNTP_MODELS)
def test_the_recipes_of_mntp_are_those_of_llm2vec(model: str):
    config = parse(command(ROOT / "experiments" / "paper" / model / "mntp.yaml"))
    arguments, trainer, data = config["model"]["init_args"], config["trainer"], config["data"]
    rate, style = (0.8, "all") if model == "mistral-7b" else (0.2, "bert")
    assert arguments["objective"] == {
        "class_path": "llm2comp.objectives.MNTP",
        "init_args": {"mask_rate": rate, "mask_style": style, "mask_token": "_"},
    }
    assert arguments["lora"] == {
        "rank": 16,
        "alpha": 32,
        "dropout": 0.05,
        "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    }
    assert (arguments["direction"], arguments["num_memory_tokens"]) == ("bidirectional", 0)
    assert arguments["max_length"] == 512
    assert trainer["max_steps"] == 1000
    assert data["token_budget"] * trainer["accumulate_grad_batches"] == 32 * 512
    assert data["train"].endswith("wikitext-103-raw-v1/train")


def test_there_is_a_sweep_for_every_question():
    assert {path.stem for path in SWEEPS} == {
        *("contrastive_steps", "direction", "kl", "learning_rate", "lora_rank", "memory_tokens", "objective"),
        *("pooling", "pretraining_samples"),
    }


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_run_of_a_sweep_parses_as_what_the_sweep_says(path: Path, lm_folder: Path):
    sweep = Sweep.load(path)
    assert sweep.name == path.stem
    assert sweep.metric.name in METRICS
    program, *arguments = sweep.arguments(sweep.settings[0])
    assert program == "llm2comp"
    parser = Reading(arguments).parser  # building it takes longer than all that it parses
    configs = [parser.parse_args(sweep.arguments(setting)[1:]).fit.as_dict() for setting in sweep.settings]
    for config, setting in zip(configs, sweep.settings, strict=True):
        assert sweep.setting_of(config) == setting
        assert config["experiment"] == f"ablation_{sweep.name}"
    # What is checked only as the model and its data are made; they differ with all but the seed.
    for config in configs[: len(configs) // len(sweep.parameters["seed_everything"])]:
        DataSettings(**config["data"])
        config["model"]["init_args"] |= {"encoder": str(lm_folder), "max_length": 136}
        models = Parser()
        models.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
        models.instantiate_classes(models.parse_object({"model": config["model"]}))


def test_sweeps_start_with_the_seeds_so_that_each_setting_comes_early():
    assert {next(iter(Sweep.load(path).parameters)) for path in SWEEPS} == {"seed_everything"}


def test_an_option_that_is_not_there_is_refused(tmp_path: Path):
    path = tmp_path / "wrong.yaml"
    path.write_text((ROOT / "experiments" / "pretrain_compress.yaml").read_text().replace("rank: 16", "rnak: 16"))
    with pytest.raises(ValueError, match="rnak"):
        parse(["fit", "--config", str(path)])
