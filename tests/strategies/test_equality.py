"""Two processes are one process with the same batches: the curve of the loss, and what has trained at its end.

Float32. What is left is the order in which gradients are summed: relative 2e-5 of losses, and absolute 2e-5 of weights
that are of the order of 0.1 and that four steps have moved by up to 1e-2 each.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.strategies.processes import Processes
from tests.strategies.runs import OBJECTIVES, STRATEGIES, Run, train, write_lm

LOSS = {"rel": 2e-5}
WEIGHT = {"rtol": 0.0, "atol": 2e-5}
MOMENT = {"rtol": 1e-3, "atol": 5e-5}

# Of models and training, with a short name: one objective for each is enough.
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "all weights": ("distillation", {"model": {"lora": None}}),
    "activation checkpointing": ("distillation", {"model": {"activation_checkpointing": True}}),
    "clipping and accumulation": (
        "mntp",
        {"trainer": {"gradient_clip_val": 0.05, "accumulate_grad_batches": 2}, "max_steps": 2},
    ),
    "other numbers of passes": ("contrastive", {"group_tokens": 60}),
    "gpt2": ("distillation", {}),
    "gemma2": ("reconstruction", {"model": {"attention": "eager"}}),
    "gemma2, all weights": ("mntp", {"model": {"attention": "eager", "lora": None}}),
    "qwen3": ("llama2vec", {"model": {"attention": "sdpa"}}),
}
ARCHITECTURES = {"gpt2", "gemma2", "qwen3"}

_alone: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}


def saved(path: str) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def compare(processes: Processes, folder: Path, name: str, strategy: str, objective: str, *places: str, **run: Any):
    """Two processes with one, which is run once for all strategies."""
    if name not in _alone:
        path = str(folder / f"{name}-alone.ckpt")
        _alone[name] = train(Run(objective, *places, save=path, **run)), saved(path)
    expected, whole = _alone[name]
    path = str(folder / f"{name}-{strategy}.ckpt")
    for result in processes.run(train, Run(objective, *places, strategy, 2, save=path, **run)):
        assert result["losses"] == pytest.approx(expected["losses"], **LOSS)
    here = saved(path)
    torch.testing.assert_close(here["state_dict"], whole["state_dict"], **WEIGHT)
    moments, others = (checkpoint["optimizer_states"][0]["state"] for checkpoint in (here, whole))
    torch.testing.assert_close(moments, others, **MOMENT)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(
    two_processes: Processes, folder: Path, lm: str, corpora: tuple[str, str], objective: str, strategy: str
) -> None:
    if (objective, strategy) == ("gradcache", "deepspeed_stage_3"):
        pytest.skip("refused: see test_environment")
    corpus = corpora[objective in ("contrastive", "gradcache")]
    compare(two_processes, folder, objective, strategy, objective, lm, corpus)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", OPTIONS)
def test_other_ways_to_train(
    two_processes: Processes, folder: Path, lm: str, corpora: tuple[str, str], name: str, strategy: str
) -> None:
    objective, options = OPTIONS[name]
    model_type = name.split(",")[0]
    model = write_lm(folder, model_type) if model_type in ARCHITECTURES else lm
    corpus = corpora[objective == "contrastive"]
    compare(two_processes, folder, name, strategy, objective, model, corpus, **options)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["distillation", "contrastive"])
def test_shards_kept_by_the_cpu(
    two_processes: Processes, folder: Path, lm: str, corpora: tuple[str, str], objective: str
) -> None:
    compare(two_processes, folder, objective, "fsdp2_offload", objective, lm, corpora[objective == "contrastive"])


def test_activation_checkpointing_changes_nothing(folder: Path, lm: str, corpora: tuple[str, str]) -> None:
    with_it, without = (
        train(Run("distillation", lm, corpora[0], model={"activation_checkpointing": on})) for on in (True, False)
    )
    assert with_it["losses"] == without["losses"]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fsdp2", "deepspeed_stage_2", "deepspeed_stage_3"])
@pytest.mark.parametrize("lora", [True, False])
def test_mixed_precision(
    two_processes: Processes, lm: str, corpora: tuple[str, str], strategy: str, lora: bool
) -> None:
    """In bfloat16, of which rounding is relative 4e-3, losses agree with those of DDP to 3e-2."""
    model = {"dtype": "bfloat16", **({} if lora else {"lora": None})}
    here, there = (
        two_processes.run(train, Run("distillation", lm, corpora[0], each, 2, model=model))[0]
        for each in (strategy, "ddp")
    )
    assert here["losses"] == pytest.approx(there["losses"], rel=3e-2)
