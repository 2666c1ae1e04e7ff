"""What the name of a model stands for: a folder, a GGUF file, the embedded weights, or a hub id."""

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from llm2comp.backbone.embedded import EMBEDDED_MODELS, embedded_folder
from llm2comp.errors import UserError, unknown

_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+(@[\w./-]+)?$")


@dataclass(frozen=True)
class ModelSpec:
    """Arguments of `from_pretrained` for one model: `path`, and what else it needs."""

    name: str
    path: str
    revision: str | None = None
    gguf_file: str | None = None

    @property
    def is_local(self) -> bool:
        return Path(self.path).is_dir()

    def kwargs(self) -> dict[str, str]:
        """The keyword arguments for transformers' `from_pretrained` beside the path."""
        named = {"revision": self.revision, "gguf_file": self.gguf_file}
        return {key: value for key, value in named.items() if value is not None}


def resolve(name: str | os.PathLike[str]) -> ModelSpec:
    """The model behind `embedded:NAME`, a folder, a `.gguf` file, or a hub id `org/name[@revision]`.

    Raises UserError for a name that is none of these, with the nearest names there are.
    """
    name = os.fspath(name)
    if name.startswith("embedded:"):
        model = name.removeprefix("embedded:")
        if model not in EMBEDDED_MODELS:
            raise unknown("model", name, [f"embedded:{known}" for known in EMBEDDED_MODELS])
        return ModelSpec(name, str(embedded_folder(model)))
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            inside = path / "encoder"
            hint = f"; did you mean {str(inside)!r}?" if (inside / "config.json").is_file() else ""
            raise UserError(f"{path} is not a model folder: it holds no config.json{hint}")
        return ModelSpec(name, str(path))
    if path.is_file():
        if path.suffix != ".gguf":
            raise UserError(f"{path} is a file but not a .gguf file; name a model folder or a .gguf file")
        return ModelSpec(name, str(path.parent), gguf_file=path.name)
    if name.startswith(("/", ".", "~")) or name.endswith(".gguf") or not _HUB_ID.match(name):
        raise _not_found(name, path)
    hub_id, _, revision = name.partition("@")
    return ModelSpec(name, hub_id, revision=revision or None)


def _not_found(name: str, path: Path) -> UserError:
    beside = [str(p) for p in path.parent.iterdir()] if path.parent.is_dir() else []
    known = [*beside, *(f"embedded:{model}" for model in EMBEDDED_MODELS)]
    near = get_close_matches(str(path), known, n=3, cutoff=0.6) or get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    return UserError(
        f"no model {name!r}{hint} (a model is a folder, a .gguf file, a hub id such as "
        "'HuggingFaceTB/SmolLM2-135M', or 'embedded:smollm2-135m')"
    )
