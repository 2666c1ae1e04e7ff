"""What a benchmark found, and its JSON file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Ratio


@dataclass(frozen=True)
class Comparison:
    """A ratio and what it should be: at least, or at most, `target`; None where nothing was set."""

    what: str
    ratio: Ratio
    target: float | None = None
    at_most: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the median is what it should be."""
        if self.target is None:
            return None
        return self.ratio.median <= self.target if self.at_most else self.ratio.median >= self.target


@dataclass(frozen=True)
class Curve:
    """`lines`: by name, what was measured at each of `x`."""

    x_name: str
    y_name: str
    x: list[float]
    lines: dict[str, list[float]]


@dataclass(frozen=True)
class Result:
    """All that one benchmark found.

    `settings`: what it ran on; `seconds`: of each contestant in each round, by case; `numbers`: single figures by name.
    """

    name: str
    settings: dict[str, Any]
    comparisons: list[Comparison] = field(default_factory=list)
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    curves: list[Curve] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write `<name>.json` into the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Result":
        """Read it back."""
        content = json.loads(path.read_text(encoding="utf-8"))
        comparisons = [Comparison(**{**each, "ratio": Ratio(**each["ratio"])}) for each in content["comparisons"]]
        curves = [Curve(**each) for each in content["curves"]]
        return cls(**{**content, "comparisons": comparisons, "curves": curves})
