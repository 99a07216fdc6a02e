"""Dealing the columns of a table that is too wide to tables below one another."""

from collections.abc import Sequence
from typing import TypeVar

_Column = TypeVar("_Column")


def fold(columns: Sequence[_Column], widths: Sequence[float], room: float) -> list[list[_Column]]:
    """The columns in order, as many side by side as `room` takes of their widths, and at least one."""
    found: list[list[_Column]] = [[]]
    taken = 0.0
    for column, width in zip(columns, widths, strict=True):
        if found[-1] and taken + width > room:
            found.append([])
            taken = 0.0
        found[-1].append(column)
        taken += width
    return found
