"""What all figures share: colours and markers of methods, a figure's canvas, its axes, its bytes.

A method has the same colour and marker in every figure, whatever else is in it: the colours of Okabe and Ito ("Color
Universal Design", 2008), which people with any colour vision tell apart; methods that share a colour differ in marker.
"""

import hashlib
import io
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

STYLES: dict[str, tuple[str, str]] = {
    "upper-bound": (BLACK, "s"),
    "base": (BLUE, "X"),
    "lwf": (SKY, "o"),
    "lwf-mc": (SKY, "^"),
    "lwf-synthetic": (GREEN, "^"),
    "deep-inversion": (GREEN, "o"),
    "dgr": (YELLOW, "o"),
    "abd": (VERMILLION, "o"),
    "r-dfcil": (PURPLE, "o"),
    "rehearsal": (ORANGE, "o"),
    "lwf-coreset": (ORANGE, "^"),
    "e2e": (ORANGE, "D"),
    "bic": (ORANGE, "v"),
}
"""Colour and marker of the methods that were given theirs by hand; those of any other follow from its name."""

_SPARE_MARKERS = ("P", "p", "*", "h")


def style(method: str) -> tuple[str, str]:
    """Colour and marker of a method; where nobody chose them they follow from its name, the same in every process."""
    if method in STYLES:
        return STYLES[method]
    colours = (BLUE, GREEN, VERMILLION, PURPLE, SKY, ORANGE)
    number = int.from_bytes(hashlib.sha256(method.encode()).digest()[:4])
    return colours[number % len(colours)], _SPARE_MARKERS[number // len(colours) % len(_SPARE_MARKERS)]


def blank(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """A figure of so many inches, with nothing in it."""
    figure = Figure(figsize=(width, height), dpi=100, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure of so many panels side by side, and their axes."""
    figure = blank(1.2 + 5.6 * count, 4.4, layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def dress(axes: Axes, across: str, up: str) -> None:
    """Name the axes; light lines across, no frame above and to the right."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: Figure) -> bytes:
    """The figure as a PNG. Drawn once, where `savefig` draws twice: half the time, which is a launch's own."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib has not typed it
    drawn = canvas.buffer_rgba()  # type: ignore[no-untyped-call]  # nor that
    written = io.BytesIO()
    Image.frombuffer("RGBA", canvas.get_width_height(), drawn).convert("RGB").save(written, "PNG")
    return written.getvalue()
