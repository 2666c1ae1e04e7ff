"""How series are told apart: by colour, line style and marker, never by colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.colors import sample_colorscale

from llm2comp.reporting.dashboard.axis import is_number

# After Okabe and Ito, whose yellow, orange and sky blue are too light for lines: these have 3:1 and more on white.
_COLOURS = ("#0072B2", "#C24E00", "#00845F", "#A8457E", "#333333", "#856404")
# As plotly calls them, and as SVG writes them.
_DASHES = {"solid": "none", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
# As plotly calls them, and as a path of 8 by 8 about the origin.
_SYMBOLS = {
    "circle": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "square": "M-3.5 -3.5h7v7h-7z",
    "diamond": "M0 -4.8L4.8 0L0 4.8L-4.8 0z",
    "triangle-up": "M0 -4.5L4.5 3.5H-4.5z",
    "triangle-down": "M0 4.5L4.5 -3.5H-4.5z",
    "cross": "M-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
}
# Viridis, as far as it is dark enough.
_LIGHTEST = 0.55


@dataclass(frozen=True)
class Style:
    """The look of a series; `stroke` and `path` are its line style and marker in SVG."""

    colour: str
    dash: str
    symbol: str

    @property
    def stroke(self) -> str:
        return _DASHES[self.dash]

    @property
    def path(self) -> str:
        return _SYMBOLS[self.symbol]


def styles(values: Sequence[Any]) -> list[Style]:
    """A style for each value; the colours of three numbers or more go along a scale in their order."""
    dashes, symbols = list(_DASHES), list(_SYMBOLS)
    return [
        Style(colour, dashes[place % len(dashes)], symbols[place % len(symbols)])
        for place, colour in enumerate(_colours(values))
    ]


def _colours(values: Sequence[Any]) -> list[str]:
    if len(values) < 3 or not all(map(is_number, values)):
        return [_COLOURS[place % len(_COLOURS)] for place in range(len(values))]
    ordered = sorted(set(values))
    return list(
        sample_colorscale("Viridis", [_LIGHTEST * ordered.index(value) / (len(ordered) - 1) for value in values])
    )
