"""The pictures of the page: dreams and confusion matrices, small enough for a file that is sent around."""

import base64
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from matplotlib import colormaps
from PIL import Image

from orchestrator.results.by_class import Confusion

_WIDTHS = (400, 320, 240, 180, 130)  # pixels of a sheet of dreams: the first that keeps all of them within _DREAMS
_DREAMS = 900_000  # bytes that all dreams together may take
Key = TypeVar("Key")
_NAMED = 30  # classes that a confusion matrix names
_CELL = 10  # units of a cell


@dataclass(frozen=True)
class Shown:
    """A confusion matrix as the page draws it."""

    image: str
    """A pixel a cell, as a data address."""
    side: int
    room: int
    """Left of the matrix and below it, for the names."""
    names: tuple[tuple[str, float], ...]
    """Of its classes, with the middle of their rows; none where there are too many."""
    ends: tuple[int, ...]
    """Where a task ends and the next begins."""
    told: tuple[str, ...]
    """Class by class what it was most often taken for; none where that is too long."""


Sheets = Sequence[tuple[int, bytes]]
"""The task and the picture (PNG) of each sheet of dreams of a job."""


def dreams(sheets: Mapping[Key, Mapping[str, Sheets]]) -> dict[Key, dict[str, list[tuple[int, str]]]]:
    """Key and seed to the task and the data address (JPEG) of each sheet; the more there are, the smaller.

    Where not all seeds fit, the first ones of each key: as many of all as there is room for, and one in any case.
    """
    most = max(map(len, sheets.values()), default=0)
    for width in _WIDTHS:
        made = {key: _first(own, 1, width) for key, own in sheets.items()}
        # The last width is for many methods alone: of fewer, more seeds are not worth pictures that small.
        if most * _size(made) <= _DREAMS or width == _WIDTHS[-2]:
            break
    if _size(made) > _DREAMS:
        return {key: _first(own, 1, _WIDTHS[-1]) for key, own in sheets.items()}
    for place in range(1, most):
        more = {key: _first(own, place + 1, width, place) for key, own in sheets.items()}
        if _size(made) + _size(more) > _DREAMS:
            break
        made = {key: own | more[key] for key, own in made.items()}
    return made


def _first(own: Mapping[str, Sheets], until: int, width: int, start: int = 0) -> dict[str, list[tuple[int, str]]]:
    """Those of the seeds at these places."""
    return {seed: [(task, _jpeg(content, width)) for task, content in own[seed]] for seed in list(own)[start:until]}


def _size(made: Mapping[Key, Mapping[str, Sequence[tuple[int, str]]]]) -> int:
    return sum(len(address) for own in made.values() for found in own.values() for _, address in found)


def confusion(found: Confusion, one_of_many: bool = False) -> Shown:
    """The matrix in percent of its rows; of `one_of_many`, what many classes were taken for is not told."""
    classes = len(found.classes)
    images = found.counts.sum(1, keepdims=True).clip(1)
    colours = (colormaps["cividis"](found.counts / images, bytes=True))[:, :, :3]
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colours)).convert("P", palette=Image.Palette.ADAPTIVE).save(
        file, "PNG", optimize=True
    )
    named = classes <= _NAMED
    names = tuple(
        (name if len(name) < 15 else f"{name[:13]}…", _CELL * at + _CELL / 2) for at, name in enumerate(found.classes)
    )
    return Shown(
        _address("png", file.getvalue()),
        _CELL * classes,
        5 * max(len(name) for name, _ in names) + 4 if named else 4,
        names if named else (),
        tuple(_CELL * end for end in itertools.accumulate(found.tasks[:-1])),
        tuple(_most(found, at) for at in range(classes)) if named or not one_of_many else (),
    )


def _most(found: Confusion, at: int) -> str:
    row = found.counts[at]
    order = [other for other in np.argsort(-row, kind="stable")[:4].tolist() if row[other]]
    taken = ", ".join(f"{found.classes[other]} {row[other]}" for other in order)
    return f"{found.classes[at]} ({row.sum()} images): taken for {taken}" if order else found.classes[at]


def _jpeg(content: bytes, width: int) -> str:
    """Its colours as sharp as its brightness: dreams are small."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        shown = image.convert("RGB")
        if shown.width > width:
            shown.thumbnail((width, width))
        shown.save(file, "JPEG", quality=88 if width == _WIDTHS[0] else 80, subsampling=0)
    return _address("jpeg", file.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
