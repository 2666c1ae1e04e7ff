"""What is measured of the encoder that a run exports."""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from llm2comp.backbone.loading import Precision
from llm2comp.encoder.encoder import Encoder
from llm2comp.evaluation.geometry import Geometry, measure_geometry
from llm2comp.evaluation.mteb.after_training import score
from llm2comp.evaluation.sts import spearman, sts_pairs
from llm2comp.reporting.geometry_figure import draw_geometry
from llm2comp.reporting.metrics_file import read_metrics
from llm2comp.reporting.run_folder import RunFolder

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

# Held-out texts for the geometry, and the words read of each: cheap, and enough to compare runs by.
GEOMETRY_TEXTS = 256
GEOMETRY_WORDS = 32
# A half of a text of six words has three.
_MIN_WORDS = 6
_GEOMETRY = ("effective_rank", "participation_ratio", "isoscore", "alignment", "uniformity", "memory_correlation")


@dataclass(frozen=True)
class Measured:
    """Numbers as in `RunResults`, and the `pictures` that were drawn."""

    scores: dict[str, float]
    sts_test_spearman: float | None
    geometry: dict[str, float]
    pictures: list[Path] = field(default_factory=list)


def measure(
    run: RunFolder, held_out: Sequence[str], tasks: "Sequence[AbsTask]", dtype: Precision, device: torch.device
) -> Measured:
    """Open the encoder in the run's folder and measure it; MTEB's files go to `evaluation/` in that folder."""
    encoder = Encoder.from_pretrained(run.encoder, dtype=dtype, device=device)
    geometry = _geometry(encoder, run, held_out)
    numbers = {} if geometry is None else {name: getattr(geometry, name) for name in _GEOMETRY}
    scores, failures = score(encoder, tasks, run.path / "evaluation")
    for task, why in failures.items():
        print(f"{task} has no score: {why}", file=sys.stderr)
    return Measured(
        scores=scores,
        sts_test_spearman=_sts_test(encoder),
        geometry={name: value for name, value in numbers.items() if value is not None},
        pictures=[] if geometry is None else _draw(geometry, run),
    )


def exported_metrics(run: RunFolder, step: int) -> dict[str, float]:
    """The metrics of the weights after `step` optimizer steps: validation then, and of training the last logged before.

    Steps are logged as those done before them.
    """
    if not run.metrics.is_file():
        return {}
    metrics = {}
    for name, points in read_metrics(run.metrics).items():
        validation = name.startswith("val/")
        values = [value for at, value in points if at == step - 1 or (at < step - 1 and not validation)]
        if values and name != "epoch":
            metrics[name] = values[-1]
    return metrics


def _geometry(encoder: Encoder, run: RunFolder, held_out: Sequence[str]) -> Geometry | None:
    cut = [" ".join(words) for text in held_out if len(words := text.split()[:GEOMETRY_WORDS]) >= _MIN_WORDS]
    texts = list(dict.fromkeys(cut))
    drawn = random.Random(0).sample(texts, min(GEOMETRY_TEXTS, len(texts)))
    return measure_geometry(run.name, encoder, drawn) if len(drawn) > 1 else None


def _draw(geometry: Geometry, run: RunFolder) -> list[Path]:
    matrix = geometry.memory_correlations
    correlations = {} if matrix is None else {geometry.name: matrix}
    drawn = draw_geometry({geometry.name: geometry.spectrum}, correlations, run.path)
    return [path for path in drawn if path.suffix == ".png"]


def _sts_test(encoder: Encoder) -> float | None:
    pairs = sts_pairs("test")
    if pairs is None:
        return None
    result = spearman(encoder, pairs)
    print(f"\nSTS-B test Spearman of the encoder: {result:.2f} ({len(pairs)} pairs)")
    return result
