"""Tasks that are loaded before training leave its random numbers alone."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mteb", reason="the extra `eval` is not installed")

# mteb seeds as it is imported, which this process has done already.
DRAW = """
import random, sys
import numpy as np, torch
from llm2comp.evaluation.mteb.after_training import loadable_tasks

for seed in (torch.manual_seed, np.random.seed, random.seed):
    seed(7)
if sys.argv[1:]:
    loadable_tasks(sys.argv[1])
print(torch.initial_seed(), torch.rand(1).item(), np.random.rand(), random.random())
"""


def drawn(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", DRAW, *arguments], capture_output=True, text=True, check=True).stdout


def test_a_run_keeps_its_seed(mirror: Path) -> None:
    """Otherwise all seeds of an ablation that is scored on MTEB would be one."""
    assert drawn("BIOSSES") == drawn()
