"""What a run was made with: code, packages and machine, and nothing of who made it or where."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import llm2comp

# What the numbers of a run hang on.
PACKAGES = (
    *("llm2comp", "torch", "transformers", "lightning", "peft", "tokenizers", "datasets", "sentence-transformers"),
    *("mteb", "deepspeed", "bitsandbytes", "wandb"),
)


def environment() -> dict[str, Any]:
    """The commit of the code, if it lies in a git checkout, the versions of packages, and the processors."""
    return {"code": code_version(Path(llm2comp.__file__)), "packages": _packages(), "machine": machine()}


def code_version(file: Path) -> dict[str, Any] | None:
    """The git `commit` that a source file belongs to, and whether the checkout was changed since; None outside of one.

    An installed package within someone else's checkout belongs to none: git must know the file itself.
    """
    if _git(file, "ls-files", "--error-unmatch", file.name) is None:
        return None
    commit, changes = _git(file, "rev-parse", "HEAD"), _git(file, "status", "--porcelain", "-uno", "--", ":/")
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in GiB, and graphics processors by name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": cores,
        "memory_gib": _memory_gib(),
        "gpus": gpus,
        "cuda": torch.version.cuda if gpus else None,
    }


def _packages() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git(file: Path, *arguments: str) -> str | None:
    # Locks are for those who change something; a status must not keep them from it.
    command = ["git", "--no-optional-locks", "-C", str(file.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
