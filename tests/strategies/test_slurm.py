"""The SLURM script, with an srun that says what it was asked to run."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "clusters" / "slurm.sh"


def submitted(folder: Path, *arguments: str) -> str:
    """What the script runs in a job of 2 nodes with 4 tasks each."""
    (folder / "venv" / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "venv" / "bin" / "activate").touch()
    srun = folder / "srun"
    srun.write_text('#!/bin/bash\necho "$@" as $LLM2COMP_RUN\n', encoding="utf-8")
    srun.chmod(0o755)
    slurm = {"SLURM_JOB_ID": "77", "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4", "SLURM_CPUS_PER_TASK": "8"}
    kept = {name: value for name, value in os.environ.items() if name != "LLM2COMP_RUN"}
    environment = {**kept, **slurm, "LLM2COMP_VENV": str(folder / "venv"), "PATH": f"{folder}:{os.environ['PATH']}"}
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_job_starts_a_run_and_goes_on_with_it(tmp_path: Path) -> None:
    first = submitted(tmp_path, "--config", "a.yaml", "--trainer.strategy", "fsdp2")
    assert first.split() == [
        *("--kill-on-bad-exit=1", "llm2comp", "fit", "--config", "a.yaml", "--trainer.strategy", "fsdp2"),
        *("--root", "lightning_logs", "--run", "slurm-77", "--trainer.num_nodes", "2", "--trainer.devices", "4"),
        *("as", "slurm-77"),
    ]
    checkpoint = tmp_path / "lightning_logs" / "some_experiment" / "slurm-77" / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert "--run slurm-77 --ckpt_path last" in submitted(tmp_path, "--config", "a.yaml")
