"""Whether there is a W&B account on this machine."""

import configparser
import netrc
import os
from pathlib import Path
from urllib.parse import urlparse


def has_account() -> bool:
    """Whether W&B would find a key: `WANDB_API_KEY`, or what `wandb login` noted for the server that is used."""
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
