"""A checkpoint of any strategy and number of processes goes on under any other, and is one file of what trains.

Rounding that differs has six steps to grow in: relative 1e-4 of losses, absolute 1e-4 of weights.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.strategies.processes import Processes
from tests.strategies.runs import Run, train, write_lm

# The strategy of each part of a run, two steps each; "auto" in one process, the others in two.
CHAINS = [
    ("distillation", ["auto", "ddp", "auto"]),
    ("contrastive", ["auto", "fsdp2", "ddp"]),
    ("distillation", ["fsdp2", "auto", "fsdp2"]),
    ("contrastive", ["auto", "deepspeed_stage_2", "ddp"]),
    ("contrastive", ["fsdp2", "deepspeed_stage_3", "deepspeed_stage_2"]),
    ("distillation", ["deepspeed_stage_3", "fsdp2", "auto"]),
]


def run_part(processes: Processes, run: Run) -> list[float]:
    return (train(run) if run.strategy == "auto" else processes.run(train, run)[0])["losses"]


@pytest.mark.slow
@pytest.mark.parametrize(("objective", "chain"), CHAINS, ids=str)
def test_a_run_goes_on_under_another_strategy(
    two_processes: Processes, tmp_path: Path, lm: str, corpora: tuple[str, str], objective: str, chain: list[str]
) -> None:
    corpus = corpora[objective == "contrastive"]
    schedule: dict[str, Any] = {"trainer": {"val_check_interval": 100}}

    def part(number: int, strategy: str, resume: str | None) -> tuple[list[float], str]:
        path = str(tmp_path / f"{number}.ckpt")
        count = 1 if strategy == "auto" else 2
        steps = 2 * number if number else 6
        run = Run(objective, lm, corpus, strategy, count, steps, resume=resume, save=path, total=6, **schedule)
        return run_part(two_processes, run), path

    expected, straight = part(0, "auto", None)
    losses: list[float] = []
    path: str | None = None
    for number, strategy in enumerate(chain, 1):
        more, path = part(number, strategy, path)
        losses += more
    assert losses == pytest.approx(expected, rel=1e-4)
    ended, whole = (torch.load(each, weights_only=True) for each in (path, straight))
    torch.testing.assert_close(ended["state_dict"], whole["state_dict"], rtol=0, atol=1e-4)
    moments, others = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (ended, whole))
    torch.testing.assert_close(moments, others, rtol=1e-3, atol=5e-4)
    assert not any("base_layer" in name or "embed" in name for name in ended["state_dict"])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fsdp2", "deepspeed_stage_3"])
def test_another_model_is_refused(
    two_processes: Processes, folder: Path, tmp_path: Path, lm: str, corpora: tuple[str, str], strategy: str
) -> None:
    path = str(tmp_path / "a.ckpt")
    two_processes.run(train, Run("distillation", lm, corpora[0], "fsdp2", 2, 1, save=path))
    others: list[tuple[str, dict[str, Any], str]] = [
        (lm, {"num_memory_tokens": 3}, r"another configuration.*memory\.rows, \(4, 32\)"),
        (write_lm(folder, "mistral"), {}, "is of a llama model, and .* is a mistral model"),
    ]
    for model, options, message in others:
        other = Run("distillation", model, corpora[0], strategy, 2, 2, resume=path, model=options)
        with pytest.raises(AssertionError, match=rf"process 1:[^§]*{message}"):
            two_processes.run(train, other)
