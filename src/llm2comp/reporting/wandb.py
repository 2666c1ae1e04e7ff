"""Weights & Biases, without an account unless there is one."""

import os
import re
from collections.abc import Mapping
from typing import Any

from llm2comp.reporting.environment import environment
from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.run_logger import RunLogger
from llm2comp.reporting.scrub import scrub
from llm2comp.reporting.sweep_setting import SETTING, shown_setting, sweep_setting
from llm2comp.reporting.wandb_account import has_account
from llm2comp.sweeps.naming import run_name

# What W&B would gather by itself: the host, the user, the command line, paths, the repository, the screen. Package
# versions and the load of the hardware stay.
PRIVACY = {
    "host": "",
    "x_disable_meta": True,
    "disable_git": True,
    "save_code": False,
    "console": "off",
    "program": "llm2comp",  # else the path of the program that was started
}
# Seconds: a run that is over waits so long for a server that cannot be reached. What is left is sent by `wandb sync`.
FINISH_TIMEOUT = 600


def wandb_logger(run: RunFolder, config: Mapping[str, Any], job_type: str) -> RunLogger:
    """Lightning's logger that keeps the run under `<run folder>/wandb`; the W&B run starts with the first logging.

    It is offline where no account is set up (`WANDB_API_KEY`, `wandb login`), unless `WANDB_MODE` says otherwise. The
    project is `WANDB_PROJECT` or `llm2comp`, the group is the experiment; a resumed run continues the same W&B run.
    Under W&B's own agent, project and run are those of its sweep. The tags are the sweeps that the run is of.

    `config` is the whole resolved configuration: it is sent without secrets and home paths (see `scrub`), with the
    `environment` that the run is made in and, for a run of an ablation, its `setting`.
    """
    # W&B would send tracebacks of its own failures home, and with them paths.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    mode = os.environ.get("WANDB_MODE") or (None if has_account() else "offline")
    # W&B falls back to a temporary folder if this one is not there.
    run.path.mkdir(parents=True, exist_ok=True)
    found = sweep_setting(run, config)
    own = {SETTING: shown_setting(*found)} if found else {}
    return RunLogger(
        project=os.environ.get("WANDB_PROJECT", "llm2comp"),
        group=run.experiment,
        job_type=job_type,
        tags=[os.environ[name] for name in ("LLM2COMP_SWEEP", "WANDB_SWEEP_ID") if os.environ.get(name)],
        name=run_name(found[1]) if found else run.run,
        id=re.sub(r"[^\w.-]", "-", f"{run.experiment}-{run.run}"),
        # Its service may have been started in another folder, and would take a relative path from there.
        save_dir=run.path.absolute(),
        mode=mode,
        config=scrub({**config, **own, "environment": environment()}),
        # Online it prints where to look; offline there is nothing to see, and `sync_command` says what to do.
        settings={**PRIVACY, "quiet": True, "silent": mode == "offline", "finish_timeout": FINISH_TIMEOUT},
    )


def agent_run() -> str | None:
    """The id that W&B's agent gave the run it has started; None where no agent did."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def sync_command(run: RunFolder) -> str | None:
    """The command that sends the run's offline records to W&B; None if it has none."""
    folders = sorted((run.path / "wandb").glob("offline-run-*"))
    return f"wandb sync {' '.join(map(str, folders))}" if folders else None
