"""The labels of a grid's cells: `abd@mu=0.05` where they name a folder, `abd · mu=0.05` for people."""

import re
from collections.abc import Mapping, Sequence

_VARIED = re.compile(r"(?P<path>[A-Za-z_]\w*(\.\w+)*)=.+")


def cell_label(family: str, values: Mapping[str, object]) -> str:
    """The label of the cell of the entry `family` in which these settings, by dotted path, have these values."""
    return "@".join([family, *(f"{path}={_told(value)}" for path, value in values.items())])


def title_of(label: str) -> str:
    """A label for people."""
    family, cell = _parts(label)
    return " · ".join([family, *cell])


def family_of(label: str) -> str:
    """The label of the entry that a cell is of; of an entry without a grid its own."""
    return _parts(label)[0]


def varied_by(label: str) -> tuple[str, ...]:
    """The dotted paths of the settings that a cell's label names; none for that of an entry without a grid."""
    return tuple(part.partition("=")[0] for part in _parts(label)[1])


def _parts(label: str) -> tuple[str, Sequence[str]]:
    family, *cell = label.split("@")
    return (family, cell) if all(map(_VARIED.fullmatch, cell)) else (label, [])


def _told(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(_told, value))
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
