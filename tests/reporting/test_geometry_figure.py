"""The picture of spectra and correlations tells its curves apart without colour, and is written as PNG and PDF."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.image import imread
from matplotlib.legend import Legend
from matplotlib.text import Text

from llm2comp.reporting.geometry_figure import draw_geometry
from llm2comp.reporting.print_figure import PAGE_WIDTH


def spectra(count: int) -> dict[str, list[float]]:
    return {f"encoder {i}": (np.arange(1, 50.0) ** -(1 + i / 4)).tolist() for i in range(count)}


def test_curves_differ_in_line_style_and_colour_and_end_where_rounding_begins(tmp_path: Path, drawn: list):
    given = spectra(6) | {"flat": [1.0, 0.5, 1e-12, 0.0]}
    paths = draw_geometry(given, {}, tmp_path / "new")
    assert [path.name for path in paths] == ["geometry.pdf", "geometry.png"]
    assert paths[0].read_bytes().startswith(b"%PDF")
    (axes,) = drawn[0].axes
    assert axes.get_yscale() == "log"
    lines = axes.lines
    assert [line.get_label() for line in lines] == list(given)
    assert len({line.get_color() for line in lines}) == 7
    assert len({repr(line._unscaled_dash_pattern) for line in lines}) == 7
    np.testing.assert_allclose(lines[1].get_ydata(), given["encoder 1"])
    assert lines[-1].get_xdata().tolist() == [1, 2]


def test_more_curves_than_colours_differ_still(tmp_path: Path, drawn: list):
    draw_geometry(spectra(20), {}, tmp_path)
    lines = drawn[0].axes[0].lines
    assert len({(line.get_color(), repr(line._unscaled_dash_pattern)) for line in lines}) == 20


def test_checkpoints_of_a_run_go_from_light_to_dark(tmp_path: Path, drawn: list):
    paths = draw_geometry(spectra(5), {}, tmp_path, run="sweep/a")
    assert [path.name for path in paths] == ["geometry_sweep-a.pdf", "geometry_sweep-a.png"]
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "sweep/a: spectrum of the embeddings"
    light = [rgb_to_hsv(to_rgb(line.get_color()))[2] for line in axes.lines]
    assert light == sorted(light, reverse=True)
    assert max(light) - min(light) > 0.3


@pytest.mark.parametrize("count", [1, 2, 4, 7])
@pytest.mark.parametrize("name", ["KL", "a long name that takes two lines or more"])
def test_no_text_lies_over_other_text_or_outside(count: int, name: str, tmp_path: Path, drawn: list):
    names = [f"{i} {name}" for i in range(count)]
    draw_geometry(
        dict(zip(names, spectra(count).values(), strict=True)),
        {each: np.eye(8).tolist() for each in names},
        tmp_path,
    )
    figure = drawn[0]
    figure.draw_without_rendering()
    labels = [text for axes in figure.axes for text in (axes.title, axes._left_title, axes.xaxis.label)]
    texts = [text for text in labels if text.get_text()] + [
        text for legend in figure.findobj(Legend) for text in legend.get_texts()
    ]
    assert len(texts) >= 2 * count + 2
    boxes = [text.get_window_extent() for text in texts] + [axes.bbox for axes in figure.axes]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    for first, second in combinations(boxes, 2):
        assert not (first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1)
    # At the width of a page, so that this is its size in print.
    assert figure.get_figwidth() <= PAGE_WIDTH
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_correlation_matrix_is_drawn_on_the_same_scale(count: int, tmp_path: Path, drawn: list):
    generator = np.random.default_rng(0)
    matrices = {}
    for i in range(count):
        matrix = generator.uniform(0, 1, size=(4, 4))
        matrix[0, 1] = matrix[1, 0] = -0.1 * (i + 1)
        np.fill_diagonal(matrix, 1)
        matrices[f"encoder {i}"] = matrix.tolist()
    paths = draw_geometry(spectra(2), matrices, tmp_path)
    heatmaps = [axes for axes in drawn[0].axes if axes.images]
    assert [axes.get_title().split("\n")[0] for axes in heatmaps] == list(matrices)
    assert len({axes.images[0].get_clim() for axes in heatmaps}) == 1
    lowest, highest = heatmaps[0].images[0].get_clim()
    assert highest == 1
    assert lowest == -0.1 * count
    others = np.array(matrices["encoder 0"])[~np.eye(4, dtype=bool)].mean()
    assert heatmaps[0].get_title().endswith(f"mean {others:.2f}")
    assert imread(paths[1]).shape[1] >= 1200
