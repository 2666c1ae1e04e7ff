"""What is checked before processes wait for each other, and what strategies refuse."""

from pathlib import Path

import lightning as L
import pytest
from lightning.pytorch.strategies import StrategyRegistry

from llm2comp.errors import UserError
from llm2comp.strategies import FSDP2, DeepSpeed, register
from llm2comp.strategies.environment import check_processes
from tests.strategies.processes import Processes
from tests.strategies.runs import Run, train

VARIABLES = ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "SLURM_NTASKS", "SLURM_JOB_NAME", "MASTER_PORT", "RANK", "LOCAL_RANK")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4"}, "torchrun has started 4 processes .* --nproc_per_node 8"),
        ({"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "run"}, "srun has started 2 tasks .* --nodes=2 --ntasks-per-node=8"),
        ({"MASTER_PORT": "99999"}, "port 99999 .* set MASTER_PORT to another"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], message: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message) as error:
        check_processes(8, 2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "16", "MASTER_PORT": "99999"},  # its own port
        {"SLURM_NTASKS": "16", "SLURM_JOB_NAME": "run"},
        {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "bash"},
        {"MASTER_PORT": "99999", "LOCAL_RANK": "1"},
    ],
    ids=str,
)
def test_what_fits_is_left_alone(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    check_processes("8", 2)


def test_deepspeed_that_is_not_installed_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm2comp.strategies.deepspeed.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "llm2comp\[deepspeed\]"'):
        DeepSpeed(stage=2)


def test_deepspeed_refuses_a_cpu(tmp_path: Path) -> None:
    trainer = L.Trainer(strategy=DeepSpeed(stage=2), accelerator="cpu", default_root_dir=tmp_path, logger=False)
    with pytest.raises(UserError, match="NVIDIA GPUs only: use strategy ddp or fsdp2"):
        trainer.strategy.setup_environment()


def test_strategies_are_known_by_name() -> None:
    register()
    assert isinstance(StrategyRegistry.get("fsdp2"), FSDP2)
    assert StrategyRegistry.get("fsdp2_offload").cpu_offload
    for stage in (2, 3):
        strategy = StrategyRegistry.get(f"deepspeed_stage_{stage}")
        assert isinstance(strategy, DeepSpeed)
        assert isinstance(strategy.config, dict)
        assert strategy.config["zero_optimization"]["stage"] == stage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "strategy", "options", "message"),
    [
        ("distillation", "ddp", {"data": {"max_examples": 1}}, "2 processes and 1 training examples"),
        ("gradcache", "deepspeed_stage_3", {}, "micro_batch_size needs several gradients"),
    ],
)
def test_all_processes_refuse(
    two_processes: Processes, lm: str, corpora: tuple[str, str], objective: str, strategy: str, options, message: str
) -> None:
    run = Run(objective, lm, corpora[objective == "gradcache"], strategy, 2, **options)
    with pytest.raises(AssertionError, match=message):
        two_processes.run(train, run)
