"""Singular-value spectra and correlations of memory tokens as one picture, for the screen and for print."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.figure import Figure, FigureBase

from llm2comp.reporting.print_figure import PAGE_WIDTH, STYLE, line_style, save

# Shares of the largest singular value below this are rounding.
SMALLEST = 1e-6
# Inches.
_SPECTRA_HEIGHT, _LEGEND_LINE, _HEATMAP = 2.9, 0.17, 1.75
# Two columns of two heatmaps stand beside the spectra; more go below them, four in a row.
_BESIDE, _IN_A_ROW = 4, 4
# As many as stand over a heatmap, over the spectra, in half and in all of a line of the legend.
_HEATMAP_CHARACTERS, _TITLE_CHARACTERS, _HALF_LINE, _LINE = 20, 44, 16, 40


def draw_geometry(
    spectra: Mapping[str, Sequence[float]],
    correlations: Mapping[str, Sequence[Sequence[float]]],
    folder: Path,
    run: str | None = None,
) -> list[Path]:
    """Write geometry.pdf and geometry.png into the folder (of a run: geometry_<run>), and return their paths.

    Args:
        spectra: by encoder, singular values as shares of the largest, in descending order.
        correlations: by encoder that has several memory tokens, the correlations [k, k] between their states.
        run: of which the encoders are the checkpoints in order, so that their colours go from light to dark.
    """
    file_name = "geometry" if run is None else "geometry_" + run.replace("/", "-")
    below = len(correlations) > _BESIDE
    legend_columns = 2 if below or max(map(len, spectra)) <= _HALF_LINE else 1
    spectra_height = _SPECTRA_HEIGHT + _LEGEND_LINE * -(-len(spectra) // legend_columns)
    with matplotlib.rc_context(STYLE):
        if not correlations:
            figure = Figure(figsize=(PAGE_WIDTH * 0.6, spectra_height), layout="constrained")
            _draw_spectra(figure, spectra, run, legend_columns)
            return save(figure, folder, file_name)
        columns = _IN_A_ROW if below else min(len(correlations), 2)
        rows = -(-len(correlations) // columns)
        width, height = _HEATMAP * columns + 0.5, _HEATMAP * rows + 0.3
        if below:
            figure = Figure(figsize=(PAGE_WIDTH, spectra_height + height), layout="constrained")
            parts = figure.subfigures(2, squeeze=False, height_ratios=[spectra_height, height])
        else:
            figure = Figure(figsize=(PAGE_WIDTH, max(spectra_height, height)), layout="constrained")
            parts = figure.subfigures(1, 2, squeeze=False, width_ratios=[PAGE_WIDTH - width, width])
        first, second = parts.flat
        _draw_spectra(first, spectra, run, legend_columns)
        _draw_correlations(second, correlations, rows, columns)
        return save(figure, folder, file_name)


def _draw_spectra(
    figure: FigureBase, spectra: Mapping[str, Sequence[float]], run: str | None, legend_columns: int
) -> None:
    axes = figure.add_subplot()
    # From light to dark, so that the order shows without colour; its lightest would not be seen on white.
    shades = matplotlib.colormaps["cividis_r"](np.linspace(0.15, 1, len(spectra)))
    for i, (name, spectrum) in enumerate(spectra.items()):
        values = np.array(spectrum)
        values = values[values > SMALLEST]
        style = {"color": shades[i]} if run else line_style(i)
        axes.plot(np.arange(1, len(values) + 1), values, label=fill(name, _LINE), **style)
    axes.set_yscale("log")
    title = "Spectrum of the embeddings" if run is None else f"{run}: spectrum of the embeddings"
    axes.set_title(fill(title, _TITLE_CHARACTERS), loc="left")
    axes.set_xlabel("rank of the singular value")
    axes.set_ylabel("singular value / largest")
    axes.grid()
    axes.spines[["top", "right"]].set_visible(False)
    # Not over the curves, which may run anywhere. Long dashes show only where the legend's lines are long.
    figure.legend(loc="outside lower center", ncols=legend_columns, handlelength=3.5)


def _draw_correlations(
    figure: FigureBase, correlations: Mapping[str, Sequence[Sequence[float]]], rows: int, columns: int
) -> None:
    matrices = {name: np.array(matrix) for name, matrix in correlations.items()}
    # Light to dark, so that it reads without colour; all on one scale.
    lowest = min(0.0, *(matrix.min() for matrix in matrices.values()))
    grid = figure.add_gridspec(rows, columns)
    drawn = []
    for i, (name, matrix) in enumerate(matrices.items()):
        axes = figure.add_subplot(grid[divmod(i, columns)])
        image = axes.imshow(matrix, cmap="Greys", vmin=lowest, vmax=1)
        others = matrix[~np.eye(len(matrix), dtype=bool)].mean()
        axes.set_title(f"{fill(name, _HEATMAP_CHARACTERS)}\nmean {others:.2f}")
        ticks = np.arange(0, len(matrix), max(1, len(matrix) // 4))
        axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
        axes.set_yticks(ticks, [str(tick + 1) for tick in ticks])
        if i + columns >= len(matrices):
            axes.set_xlabel("memory token")
        drawn.append(axes)
    figure.colorbar(image, ax=drawn, shrink=0.7, label="correlation")
