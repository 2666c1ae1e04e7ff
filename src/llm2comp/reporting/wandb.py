"""Weights & Biases, without an account unless there is one."""

import configparser
import netrc
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from lightning.pytorch.loggers import WandbLogger

from llm2comp.reporting.run_folder import RunFolder
from llm2comp.reporting.scrub import scrub

# What W&B would gather by itself: the host, the user, the command line, paths, the repository, the screen. Package
# versions and the load of the hardware stay.
PRIVACY = {
    "host": "",
    "x_disable_meta": True,
    "disable_git": True,
    "save_code": False,
    "console": "off",
}


class _RunLogger(WandbLogger):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # Lightning passes it on though it is None, and W&B warns that it is deprecated.
        self._wandb_init.pop("anonymous", None)

    def log_hyperparams(self, params: Any) -> None:
        """Nothing: the run was given its configuration, scrubbed, and these would not be."""


def wandb_logger(run: RunFolder, config: Mapping[str, Any]) -> WandbLogger:
    """Lightning's logger that keeps the run under `<run folder>/wandb`; the W&B run starts with the first logging.

    It is offline where no account is set up (`WANDB_API_KEY`, `wandb login`), unless `WANDB_MODE` says otherwise. The
    project is `WANDB_PROJECT` or `llm2comp`, the group is the experiment; a resumed run continues the same W&B run.
    `config` is the whole resolved configuration: it is sent without secrets and home paths (see `scrub`).
    """
    mode = os.environ.get("WANDB_MODE") or (None if _has_account() else "offline")
    # W&B falls back to a temporary folder if this one is not there.
    run.path.mkdir(parents=True, exist_ok=True)
    return _RunLogger(
        project=os.environ.get("WANDB_PROJECT", "llm2comp"),
        group=run.experiment,
        name=run.run,
        id=re.sub(r"[^\w.-]", "-", f"{run.experiment}-{run.run}"),
        # Its service may have been started in another folder, and would take a relative path from there.
        save_dir=run.path.absolute(),
        mode=mode,
        config=scrub(config),
        # Online it prints where to look; offline there is nothing to see, and `sync_command` says what to do.
        settings={**PRIVACY, "quiet": True, "silent": mode == "offline"},
    )


def sync_command(run: RunFolder) -> str | None:
    """The command that sends the run's offline records to W&B; None if it has none."""
    folders = sorted((run.path / "wandb").glob("offline-run-*"))
    return f"wandb sync {' '.join(map(str, folders))}" if folders else None


def _has_account() -> bool:
    settings = _user_settings()
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE") or "api_key" in settings:
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or settings.get("base_url") or "https://api.wandb.ai").netloc
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc.netrc(path.expanduser()).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _user_settings() -> dict[str, str]:
    """What `wandb login` noted, as the server to use."""
    folder = Path(os.environ.get("WANDB_CONFIG_DIR", "~/.config/wandb")).expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(folder / "settings")
    except configparser.Error:
        return {}
    return dict(parser["default"]) if "default" in parser else {}
