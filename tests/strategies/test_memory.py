"""What each of two processes takes under each strategy is what is planned, from loading the model to the last step.

Within 10 percent, by PyTorch's allocator; `pytest -s` prints both figures. Weights, gradients and optimiser states,
and what a strategy makes whole of them, are most of it.
"""

import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightning as L
import pytest
from torch.distributed import Work
from torch.utils.data import DataLoader

from llm2comp.backbone.lora import LoRA
from llm2comp.modules import EncoderTraining
from llm2comp.planning import strategies
from llm2comp.planning.full_batch import full_batch
from llm2comp.planning.plan import Plan
from llm2comp.planning.strategies import Strategy
from llm2comp.strategies import DeepSpeed
from tests.planning.examples import allocated_peak, planned, save_lm, unloaded
from tests.strategies.processes import Processes
from tests.strategies.runs import STRATEGIES, make_strategy

pytestmark = pytest.mark.slow

MIB = 2**20
wait = Work.wait
ROWS = 2
# Of DeepSpeed, in elements: its own buckets are far larger than the model, and would be nearly all that is compared.
BUCKET = 1_000_000
CASES: dict[str, dict[str, Any]] = {"adapters": {"lora": LoRA(16, 32, 0.0)}, "all weights": {"lora": None}}


def end_first(work: Any, *args: Any) -> Any:
    """Wait for a collective, and until gloo's thread has let go of it: what that frees, the profiler does not see."""
    done = wait(work, *args)
    time.sleep(0.005)
    return done


def configure_as_on_gpu(module: EncoderTraining) -> None:
    """Load the model, each weight in memory of its own, as it is once moved to a GPU.

    As loaded, all of them are parts of one piece of memory, which stays as long as one of them does.
    """
    EncoderTraining.configure_model(module)
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()


def taken(training: Any, strategy: str) -> int:
    """The most bytes that this process takes in three steps."""
    module, of_lightning = unloaded(training), make_strategy(strategy)
    if isinstance(of_lightning, DeepSpeed):
        assert isinstance(of_lightning.config, dict)
        of_lightning.config["zero_optimization"]["reduce_bucket_size"] = BUCKET
        module.configure_model = partial(configure_as_on_gpu, module)  # type: ignore[method-assign]
    trainer = L.Trainer(
        strategy=of_lightning,
        devices=2,
        accelerator="cpu",
        max_steps=3,
        use_distributed_sampler=False,
        **dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False),
    )
    batches: Any = DataLoader([full_batch(training, ROWS)] * 3, batch_size=None)  # type: ignore[arg-type]
    with patch.object(Work, "wait", end_first):
        return allocated_peak(lambda: trainer.fit(module, batches))


@pytest.fixture(scope="module")
def lm_of_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is large beside a batch."""
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 16}
    return save_lm(tmp_path_factory.mktemp("llama"), **sizes)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("case", CASES)
def test_a_process_takes_what_is_planned(
    two_processes: Processes, lm_of_memory: Path, case: str, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategies, "_REDUCE_BUCKET", BUCKET)
    training = planned(lm_of_memory, max_length=48, batch_size=2 * ROWS, **CASES[case])
    plan = Plan(training, 2, 2**40).peak(strategy, ROWS)
    total = sum(plan.values())
    seen = two_processes.run(taken, training, strategy)
    parts = {part: round(size / MIB, 2) for part, size in plan.items()}
    print(f"\n{case}, {strategy}: planned {total / MIB:.1f} MiB {parts}, seen {[round(s / MIB, 1) for s in seen]}")
    assert seen == pytest.approx([total] * 2, rel=0.1)
