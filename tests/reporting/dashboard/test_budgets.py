"""Unequal budgets are said, unless the sweep varies the budget itself."""

from pathlib import Path

from llm2comp.evaluation.fairness import FAIR
from llm2comp.reporting.dashboard.ablation_results import AblationResults
from llm2comp.reporting.dashboard.budgets import unequal_budgets
from llm2comp.sweeps.sweep import Sweep
from tests.reporting.dashboard.synthetic import memory_tokens, numbers, write_run

KEY = "model.init_args.num_memory_tokens"


def budgets(folder: Path, swept: list[str]) -> tuple[list[str], list[str]]:
    ablation = AblationResults.load(folder.parent, Sweep.load(folder / "sweep.yaml"))
    return unequal_budgets(ablation.settings, swept)


def test_equal_budgets_are_fair(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 8: 0.3})
    assert budgets(folder, [KEY]) == ([], [FAIR])


def test_settings_that_took_more_are_named(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 8: 0.3}, seeds=(0,))
    write_run(folder / "num_memory_tokens=8,seed=0", {KEY: 8}, numbers(0.3), tokens=200_000)
    line = "Training tokens of stage 1: 119,808 (1); 200,000 (8)."
    assert budgets(folder, [KEY]) == ([f"Unequal budgets. {line}"], [])
    for key in ("data.token_budget", "trainer.max_steps", "data.train"):
        assert budgets(folder, [KEY, key]) == ([], [f"Varied by design. {line}"])
    assert budgets(folder, ["model.lora"])[0]


def test_runs_of_a_setting_that_took_more_are_named(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 8: 0.3}, seeds=(0, 1))
    options = {KEY: 8, "seed_everything": 1, "model.init_args.lora.rank": 64}
    write_run(folder / "num_memory_tokens=8,seed=1", options, numbers(0.3))
    (warning,), notes = budgets(folder, [KEY])
    assert warning.startswith("The runs of 8 had unequal budgets. LoRA of stage 1: rank 16")
    assert warning.endswith("rank 64, alpha 32.0, dropout 0.0, targets all-linear (num_memory_tokens=8,seed=1).")
    assert notes == []


def test_what_the_sweep_varies_is_by_design(tmp_path: Path):
    folder = memory_tokens(tmp_path, {1: 0.1, 8: 0.3}, seeds=(0,))
    options = {KEY: 8, "model.init_args.lora.rank": 64, "model.init_args.encoder": "other"}
    write_run(folder / "num_memory_tokens=8,seed=0", options, numbers(0.3))
    warnings, notes = budgets(folder, ["model.lora.rank"])
    assert [warning.split(":")[0] for warning in warnings] == ["Unequal budgets. Base weights"]
    assert [note.split(":")[0] for note in notes] == ["Varied by design. LoRA of stage 1"]
    assert budgets(folder, ["model.lora.rank", "model.encoder"])[0] == []
