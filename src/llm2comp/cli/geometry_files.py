"""What `llm2comp analyze` writes."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from llm2comp.evaluation.geometry import Geometry
from llm2comp.reporting.geometry_figure import draw_geometry
from llm2comp.reporting.steps_figure import draw_over_steps

# Attributes of a Geometry, with their headings and formats.
MEASURES = {
    "effective_rank": ("effective rank ↑", ".1f"),
    "participation_ratio": ("participation ratio ↑", ".1f"),
    "isoscore": ("IsoScore ↑", ".3f"),
    "alignment": ("alignment ↓", ".3f"),
    "uniformity": ("uniformity ↓", ".2f"),
    "memory_correlation": ("memory correlation ↓", ".3f"),
}
# Of a run, as many spectra and heatmaps as can be told apart; the table and geometry.json have all checkpoints.
SPECTRA, HEATMAPS = 6, 4


def write_geometry(
    encoders: Mapping[str, Geometry], runs: Mapping[str, Mapping[int, Geometry]], source: str, folder: Path
) -> list[Path]:
    """Write geometry.json and figures of encoders, and of runs over their steps, and return the paths.

    `source`: of the texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "geometry.json"
    content = {
        "texts": source,
        "encoders": [asdict(result) for result in encoders.values()],
        "runs": {
            run: [{"step": step, **asdict(result)} for step, result in steps.items()] for run, steps in runs.items()
        },
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    written = [path]
    if encoders:
        written += draw_geometry(_spectra(encoders), _correlations(encoders), folder)
    for run, steps in runs.items():
        named = {f"step {step:,}": geometry for step, geometry in steps.items()}
        written += draw_geometry(
            _spectra(_spread(named, SPECTRA)), _correlations(_spread(named, HEATMAPS)), folder, run
        )
    return written + (draw_over_steps(_over_steps(runs), folder) if runs else [])


def _spectra(results: Mapping[str, Geometry]) -> dict[str, list[float]]:
    return {name: result.spectrum for name, result in results.items()}


def _correlations(results: Mapping[str, Geometry]) -> dict[str, list[list[float]]]:
    """Of the encoders that have several memory tokens."""
    return {
        name: result.memory_correlations for name, result in results.items() if result.memory_correlations is not None
    }


def _spread(results: Mapping[str, Geometry], count: int) -> dict[str, Geometry]:
    """At most so many of them: the first, the last, and evenly between."""
    chosen = {round((len(results) - 1) * k / (count - 1)) for k in range(count)}
    return {name: result for i, (name, result) in enumerate(results.items()) if i in chosen}


def _over_steps(runs: Mapping[str, Mapping[int, Geometry]]) -> dict[str, dict[str, dict[int, float]]]:
    """By measure and by run, the values by step; a measure that no run has is left out."""
    measures = {
        heading: {
            run: values
            for run, steps in runs.items()
            if (values := {step: v for step, result in steps.items() if (v := getattr(result, measure)) is not None})
        }
        for measure, (heading, _) in MEASURES.items()
    }
    return {heading: curves for heading, curves in measures.items() if curves}
