"""Where what is made once and used again is kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`LLM2COMP_CACHE`, else `llm2comp` in the user's cache directory."""
    if named := os.environ.get("LLM2COMP_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")).expanduser() / "llm2comp"
