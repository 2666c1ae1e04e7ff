"""Folders of runs as training leaves them, with numbers that are made up."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from llm2comp.reporting.results import RunResults

STEPS = 260
CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {
        "max_steps": STEPS,
        "callbacks": [{"class_path": "llm2comp.evaluation.probes.Probes", "init_args": {"sts_limit": 256}}],
    },
    "model": {
        "class_path": "llm2comp.modules.EncoderTraining",
        "init_args": {
            "encoder": "embedded:smollm2-135m",
            "num_memory_tokens": 8,
            "objective": {
                "class_path": "llm2comp.objectives.Distillation",
                "init_args": {"temperature": 1.0, "reverse": False},
            },
            "lora": {"rank": 16, "alpha": 32.0, "dropout": 0.0, "targets": "all-linear"},
            "optimization": {"learning_rate": 1e-3, "warmup": 0.1},
        },
    },
    "data": {"train": "embedded:wikipedia", "max_tokens": 192, "token_budget": 512, "seed": 0},
    "experiment": "pretrain_compress",
    "run": None,
    "root": "lightning_logs",
    "monitor": "val/context_recovered",
    "ckpt_path": None,
}
Options = Mapping[str, Any]


def configured(options: Options) -> dict[str, Any]:
    """The configuration with dotted options set."""
    config = copy.deepcopy(CONFIG)
    for key, value in options.items():
        *parents, last = key.split(".")
        inner = config
        for parent in parents:
            inner = inner[parent]
        if isinstance(value, str) and isinstance(inner[last], dict):  # a class, by its name
            inner[last] = {"class_path": value, "init_args": {}}
        else:
            inner[last] = copy.deepcopy(value)
    return config


def write_run(
    folder: Path,
    options: Options,
    metrics: Mapping[str, float],
    *,
    tokens: int = 119_808,
    until: int = STEPS,
    scores: Mapping[str, float] | None = None,
) -> None:
    """A finished run; one that ends before its last step leaves no results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(configured(options), sort_keys=False))
    (folder / "metrics.csv").write_text(metrics_csv(metrics, until, seed=sum(folder.name.encode())))
    if until == STEPS:
        training = {"steps": STEPS, "tokens": tokens, "examples": 3120, "checksum": "00ff00ff00ff00ff"}
        geometry = {"effective_rank": 40 + 20 * abs(math.sin(tokens)), "isoscore": 0.1}
        RunResults(dict(metrics), training, dict(scores or {}), 45.1, geometry).save(folder)


def metrics_csv(metrics: Mapping[str, float], until: int, seed: int) -> str:
    """A loss every ten steps, and validation before training, half-way and at the end."""
    noise = np.random.default_rng(seed)
    lines = [",".join(["step", "epoch", "train/loss", *metrics])]
    for step in range(0, until, 10):
        loss = 0.45 + 2.2 * math.exp(-step / 45) + 0.05 * noise.normal()
        lines.append(f"{step},0,{loss:.6g}" + "," * len(metrics))
    for step in (0, 129, 259):
        if metrics and step < until:
            left = (1 - step / 259) * (6 if step == 0 else 0.7)
            falls = ("val/loss", "val/memory_correlation")
            values = [value + left * (value if name in falls else -value) / 2 for name, value in metrics.items()]
            lines.append(f"{step},0,," + ",".join(f"{value:.6g}" for value in values))
    return "\n".join(lines) + "\n"


def write_sweep(
    folder: Path, name: str, question: str, metric: tuple[str, str], values: Mapping[str, Sequence]
) -> Path:
    """The copy of a sweep that its runner leaves among the runs; the folder of the ablation."""
    sweep = {
        "name": name,
        "description": question,
        "method": "grid",
        "metric": {"name": metric[0], "goal": metric[1]},
        "parameters": {key: {"values": list(given)} for key, given in values.items()},
        "command": [
            *("llm2comp", "fit", "--config", "experiments/pretrain_compress.yaml"),
            *("--experiment", f"ablation_{name}", "${args}"),
        ],
    }
    ablation = folder / f"ablation_{name}"
    ablation.mkdir(parents=True)
    (ablation / "sweep.yaml").write_text(yaml.safe_dump(sweep, sort_keys=False))
    return ablation


def numbers(recovered: float) -> dict[str, float]:
    """What validation logs, as it goes with the context that is recovered."""
    return {
        "val/context_recovered": recovered,
        "val/loss": 0.72 * (1 - recovered),
        "val/retrieval_mrr": 0.1 + 0.6 * recovered,
        "val/memory_correlation": 0.95 - 0.4 * recovered,
        "val/effective_dimension": 24 + 80 * recovered,
    }


def memory_tokens(
    root: Path, means: Mapping[int, float], seeds: Iterable[int] = range(3), noise: float = 0.008
) -> Path:
    """An ablation over a number, whose runs scatter by `noise` about the means."""
    key = "model.init_args.num_memory_tokens"
    seeds = list(seeds)
    values = {key: list(means), "seed_everything": seeds}
    question = "How many memory tokens does a text need?"
    folder = write_sweep(root, "memory_tokens", question, ("val/context_recovered", "maximize"), values)
    for count, mean in means.items():
        for seed in seeds:
            recovered = mean + noise * (-1, 0.3, 0.7)[seed % 3]
            write_run(
                folder / f"num_memory_tokens={count},seed={seed}",
                {key: count, "seed_everything": seed},
                numbers(recovered),
            )
    return folder
