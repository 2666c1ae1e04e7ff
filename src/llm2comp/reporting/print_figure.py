"""What the figures for print share: as wide as a page, legible at that size, and told apart without colour."""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Inches: two columns of a paper, so that nothing is made smaller when it is set.
PAGE_WIDTH = 7.0
# Okabe and Ito's colours, which colour-blind people can tell apart; line styles and markers do it without colour.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (8, 2)), (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))
MARKERS = "os^Dv<>"
# The last is what matplotlib embeds as outlines of a font, so that text in a PDF stays text.
STYLE: Any = {
    **{"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5},
    **{"legend.fontsize": 8, "legend.frameon": False, "lines.linewidth": 1.4, "lines.markersize": 3.5},
    **{"grid.alpha": 0.3, "grid.linewidth": 0.6, "pdf.fonttype": 42},
}


def line_style(i: int) -> dict[str, Any]:
    """Colour and dashes of the line number i, of which 49 differ."""
    count = len(COLOURS)
    return {"color": COLOURS[i % count], "linestyle": LINE_STYLES[(i + i // count) % count]}


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure into the folder as .pdf and .png, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.pdf", folder / f"{name}.png"]
    with matplotlib.rc_context(STYLE):
        for path in paths:
            figure.savefig(path, dpi=200)
    return paths
