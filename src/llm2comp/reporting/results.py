"""What a finished run came to, as its results.json keeps it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llm2comp.errors import UserError

FILE_NAME = "results.json"
# What is measured in numbers, by name.
_MEASURED = ("metrics", "scores", "geometry")


@dataclass(frozen=True)
class RunResults:
    """A run's numbers; those of a measurement that was not made are absent.

    `metrics`: of the exported checkpoint, by their names in metrics.csv. `training`: the optimizer `steps` and `tokens`
    that the run took, the number of training `examples`, and the `checksum` of the corpus. `scores`: main scores of
    MTEB tasks in percent, by task. `sts_test_spearman`: percent, on the test split of STS-B. `geometry`: measures of
    `llm2comp.evaluation.geometry.Geometry` on held-out texts.
    """

    metrics: dict[str, float]
    training: dict[str, Any]
    scores: dict[str, float] = field(default_factory=dict)
    sts_test_spearman: float | None = None
    geometry: dict[str, float] = field(default_factory=dict)

    def save(self, run_folder: Path) -> None:
        """Write results.json into the folder, whole or not at all: where it is, the run is finished.

        Raises:
            UserError: the file cannot be written.
        """
        path = run_folder / FILE_NAME
        temporary = path.with_name(f".{path.name}.tmp")
        present = {name: value for name, value in asdict(self).items() if value not in (None, {})}
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(json.dumps({"metrics": {}, **present}, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            raise UserError(
                f"could not write {path}: {error.strerror}. Make room or permit writing there, then go on with "
                "--ckpt_path last"
            ) from error

    @classmethod
    def load(cls, run_folder: Path) -> "RunResults":
        """Read what `save` wrote.

        Raises:
            UserError: the run has no results.json, so it is not finished, or the file is damaged.
        """
        path = run_folder / FILE_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"the run {run_folder} is not finished: it has no {path.name}") from error
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        _check(content, path)
        return cls(**content)


def _check(content: Any, path: Path) -> None:
    names = list(RunResults.__dataclass_fields__)
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no names and values")
    if missing := [name for name in ("metrics", "training") if name not in content]:
        raise _damaged(path, f"it lacks {missing[0]!r}")
    if surplus := sorted(content.keys() - names):
        raise _damaged(path, f"it holds {surplus[0]!r}, which is none of {', '.join(names)}")
    for name in _MEASURED:
        measured = content.get(name, {})
        if not (isinstance(measured, dict) and all(map(_is_number, measured.values()))):
            raise _damaged(path, f"{name!r} does not hold numbers by name")
    if not isinstance(content["training"], dict):
        raise _damaged(path, "'training' does not hold values by name")
    if not _is_number(content.get("sts_test_spearman", 0.0)):
        raise _damaged(path, "'sts_test_spearman' is no number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} is damaged: {why}. Delete it and finish the run again: llm2comp fit --config "
        f"{path.parent / 'config.yaml'} --run {path.parent.name} --ckpt_path last"
    )
