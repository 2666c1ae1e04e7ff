"""`llm2comp plan`: the memory that training takes of each device, from the configuration alone."""

import argparse
import dataclasses
import json
import warnings
from typing import Any

from jsonargparse import Namespace
from rich.console import Console
from rich.progress import track
from rich.text import Text

from llm2comp.backbone.loading import fast_dtype
from llm2comp.backbone.lora import LoRA
from llm2comp.backbone.packing import PACKED
from llm2comp.backbone.spec import resolve
from llm2comp.cli.parser import Parser
from llm2comp.cli.training import TrainingCLI
from llm2comp.data.pairs.pair_set import PairSet
from llm2comp.data.settings import DataSettings
from llm2comp.encoder.config import EncoderConfig
from llm2comp.encoder.loading import load_encoder_config
from llm2comp.errors import UserError
from llm2comp.objectives.base import Objective
from llm2comp.planning.advice import advice
from llm2comp.planning.plan import Plan
from llm2comp.planning.report import as_json, heading, table
from llm2comp.planning.strategies import STRATEGIES
from llm2comp.planning.training import Device, Training

ACCELERATORS: dict[str, Device] = {"auto": "cuda", "gpu": "cuda", "cuda": "cuda", "cpu": "cpu"}


def main(arguments: list[str]) -> None:
    """Print what training takes under each strategy, what fits, and the line to run."""
    options, of_fit = _parser().parse_known_args(arguments[1:])
    if options.encoder is not None:
        of_fit += ["--model.encoder", options.encoder]
    if options.devices is not None:
        of_fit += ["--trainer.devices", str(options.devices)]
    config = experiment(of_fit)
    devices = device_count(config.trainer)
    plan = Plan(training(config), devices, options.device_memory * 2**30)
    strategies = STRATEGIES if devices > 1 else STRATEGIES[:1]
    errors = Console(stderr=True)
    plans = [plan.of(each) for each in track(strategies, "planning", console=errors, transient=True)]
    found = advice(plan, plans, of_fit, config.trainer.accumulate_grad_batches)
    if options.json:
        print(json.dumps(as_json(plan, plans, found), indent=1))
        return
    console = Console()
    console.print(Text(heading(plan)), soft_wrap=True)
    console.print(table(plans))
    for each in plans:
        if each.refused:
            console.print(Text(f"{each.strategy}: {each.refused}"))
    console.print(Text(found), soft_wrap=True)


def experiment(arguments: list[str]) -> Namespace:
    """The configuration that `llm2comp fit` would have of these arguments; nothing of it is made.

    Raises UserError for one that fit would not take, and where no experiment is named.
    """
    if not any(argument.startswith("--config") or argument == "--model" for argument in arguments):
        raise UserError("name the experiment to plan: --config experiments/....yaml")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
    return Reading(["fit", *arguments, "--seed_everything", "false"]).config.fit


def training(config: Namespace) -> Training:
    """What memory hangs on, of an experiment."""
    class_path, model = config.model.class_path, config.model.init_args
    if class_path.rpartition(".")[2] != "EncoderTraining":
        raise UserError(f"plan knows how EncoderTraining trains, and not {class_path}")
    if config.trainer.accelerator not in ACCELERATORS:
        raise UserError(f"plan knows NVIDIA GPUs and CPUs, not the accelerator {config.trainer.accelerator!r}")
    device = ACCELERATORS[config.trainer.accelerator]
    spec = resolve(model.encoder)
    stored = load_encoder_config(spec)
    k = stored.num_memory_tokens if model.num_memory_tokens is None else model.num_memory_tokens
    if stored.num_memory_tokens not in (0, k):
        raise UserError(f"{spec.name} has {stored.num_memory_tokens} memory tokens; set num_memory_tokens to that")
    objective, lora = _objective_and_lora(model)
    encoder_config = EncoderConfig(
        num_memory_tokens=k,
        direction=model.direction,
        memory_positions=model.memory_positions,
        memory_scale=1.0 if model.learn_memory_scale else None,
        max_length=model.max_length,
        base=stored.base,
    )
    # Before the pooling is checked, as training does.
    objective.check(encoder_config)
    encoder_config = dataclasses.replace(encoder_config, pooling=model.pooling or stored.pooling)
    if model.quantization is not None and lora is None:
        raise UserError("4-bit weights cannot train: set --model.lora, or leave --model.quantization unset")
    return Training(
        spec=spec,
        config=encoder_config,
        objective=objective,
        lora=lora,
        data=_data_settings(config),
        device=device,
        dtype=fast_dtype("bfloat16" if model.dtype == "auto" and device == "cuda" else model.dtype),
        attention=_planned_attention(model.attention, device),
        attention_dropout=model.attention_dropout,
        quantization=model.quantization,
        activation_checkpointing=model.activation_checkpointing,
        accumulates=config.trainer.accumulate_grad_batches > 1,
    )


def _planned_attention(attention: str | None, device: Device) -> str | None:
    """What stands for the attention of training: packed texts take at most what sdpa takes of padded ones."""
    if attention == PACKED:
        return "sdpa"
    return attention or ("eager" if device == "cpu" else None)


class Reading(TrainingCLI):
    """Reads the arguments, and goes no further."""

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def _objective_and_lora(model: Namespace) -> tuple[Objective, LoRA | None]:
    parser = Parser()
    parser.add_subclass_arguments(Objective, "objective")
    parser.add_argument("--lora", type=LoRA | None)
    given = model.as_dict()
    made = parser.instantiate_classes(parser.parse_object({key: given[key] for key in ("objective", "lora")}))
    return made.objective, made.lora


def _data_settings(config: Namespace) -> DataSettings:
    given: dict[str, Any] = config.data.as_dict()
    for name in ("train", "validation"):
        if isinstance(given[name], list):
            given[name] = [PairSet(**each) for each in given[name]]
    return DataSettings(**given)


def device_count(trainer: Namespace) -> int:
    """Processes on all nodes; one where the configuration leaves their number to the machine."""
    devices = int(trainer.devices) if str(trainer.devices).isdecimal() else 1
    return devices * trainer.num_nodes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm2comp plan",
        description="What training takes of each device's memory, from the configuration alone: no weights are loaded. "
        "Besides the options here it takes those of `llm2comp fit`, such as --config, --data.batch_size, "
        "--model.quantization or --trainer.num_nodes.",
        allow_abbrev=False,
    )
    parser.add_argument("--encoder", help="What to train, in place of the experiment's model.encoder.")
    parser.add_argument("--devices", type=int, help="Devices of a node, in place of the experiment's trainer.devices.")
    parser.add_argument(
        "--device-memory", type=_gib, default=80.0, metavar="GIB", help="Of each device, 80 by default."
    )
    parser.add_argument("--json", action="store_true", help="Print everything, in bytes, as JSON.")
    return parser


def _gib(text: str) -> float:
    size = float(text)
    if not size > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return size
