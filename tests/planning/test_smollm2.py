"""The 135M model, planned and run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm2comp.planning.plan import Plan
from tests.planning.examples import planned

# Prints by how many bytes the process grows at most while the 135M model is loaded and makes three steps.
GROWTH = """
import json, sys, threading, time
import torch
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.memory_tracker import MemoryTracker
from llm2comp.planning.training_step import run_step
from tests.planning.examples import module_of, planned

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def watch():
    while not done.is_set():
        most[0] = max(most[0], resident())
        time.sleep(0.005)

training = planned("embedded:smollm2-135m", **json.loads(sys.argv[1]))
module_of(planned(sys.argv[2])).encoder  # so that libraries are loaded
(torch.randn(512, 512) @ torch.randn(512, 512)).sum()
before, most, done = resident(), [0], threading.Event()
encoder = module_of(training).encoder
threading.Thread(target=watch, daemon=True).start()
run_step(encoder, training.objective, lambda: full_batch(training, 4), MemoryTracker(0))
done.set()
print(most[0] - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"k": 8, "max_length": 192}, {"k": 8, "max_length": 128, "lora": None}], ids=str)
def test_the_process_grows_by_what_is_planned(options: dict[str, Any], lm_folder: Path):
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, json.dumps(options), str(lm_folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = Plan(planned("embedded:smollm2-135m", **options), 1, 2**40).total("one device", 4)
    assert int(done.stdout.splitlines()[-1]) == pytest.approx(expected, rel=0.1)
