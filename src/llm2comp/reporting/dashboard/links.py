"""Links of the page to what lies beside it."""

import os
from pathlib import Path
from urllib.parse import quote


def link(target: Path, page: Path) -> str:
    """The address of a folder relative to that of the page, so that both may move together."""
    relative = os.path.relpath(target.absolute(), page.absolute().parent)
    # A name with a colon would be read as another protocol.
    return f"./{quote(Path(relative).as_posix())}/"
