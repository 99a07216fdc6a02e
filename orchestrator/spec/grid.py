"""`{grid: [0.05, 0.1]}` in the place of a setting's value, in an entry of `methods:`: an entry for each of the values.

Of several settings with grids, for each combination; the last one given varies fastest.
"""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.spec import settings
from orchestrator.spec.settings import unknown
from orchestrator.spec.yaml_document import Document, KeyPath, show

KEY = "grid"
MOST_CELLS = 10_000  # of one entry: more is a slip of the pen, and would take all memory before a sweep's size is known
_EXAMPLE = "Write it as {grid: [0.05, 0.1]}"
NOT_SETTINGS = ("name", "label")
"""Keys of an entry that cannot vary."""
_Place = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """An entry as it would be written with one value in the place of each grid."""

    given: Any
    varied: Mapping[str, object] = field(default_factory=dict)
    """Dotted path of each setting with a grid to its value here."""
    moved: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    """Where each of these values would stand to where it stands in the spec."""


def cells(document: Document, path: KeyPath, item: Any) -> list[Cell]:
    """The cells of the entry `item` at `path`: itself where it has no grid, none where a grid has no values."""
    grids = _grids(item)
    if not grids:
        return [Cell(item)]
    values = [_values(document, (*path, *where), grid) for where, grid in grids.items()]
    count = math.prod(map(len, values))
    if count > MOST_CELLS:
        remedy = f"It must be at most {MOST_CELLS}. `dfcil-sweep tune` searches where a grid is too large"
        document.add(path, f"{count} combinations are too many", count, remedy)
        return []
    return [_cell(path, item, dict(zip(grids, chosen, strict=True))) for chosen in itertools.product(*values)]


def _grids(item: Any) -> dict[_Place, dict[str, Any]]:
    """The grids of an entry, by their place in it: its own settings' and those of its sections."""
    if not isinstance(item, dict):
        return {}
    found: dict[_Place, dict[str, Any]] = {}
    for key, value in item.items():
        if _is_section(key, value):
            found |= {(key, name): inner for name, inner in value.items() if _is_grid(inner)}
        elif _is_grid(value) and key not in NOT_SETTINGS:
            found[(key,)] = value
    return found


def _is_grid(value: Any) -> bool:
    return isinstance(value, dict) and KEY in value


def _is_section(key: str, value: Any) -> bool:
    return key in settings.SECTIONS and isinstance(value, dict)


def _values(document: Document, path: KeyPath, grid: dict[str, Any]) -> list[tuple[int, Any]]:
    """Position and value of what a grid has, each value once; whether it is right is seen when its cell is read."""
    values, found = grid[KEY], dict[str, tuple[int, Any]]()
    for key in grid:
        if key != KEY:
            unknown(document, (*path, key), grid[key], [KEY])
    if not isinstance(values, list):
        document.add((*path, KEY), f"{show(values)} is not a list", values, _EXAMPLE)
        return []
    if not values:
        document.add((*path, KEY), "the grid is empty", values, _EXAMPLE)
    for index, value in enumerate(values):
        # 1 and 1.0 are the same number.
        told = json.dumps(float(value) if type(value) is int else value)
        if told in found:
            document.add((*path, KEY, index), f"{show(value)} is given twice", value, "Give each once")
        found.setdefault(told, (index, value))
    return list(found.values())


def _cell(path: KeyPath, item: dict[str, Any], chosen: Mapping[_Place, tuple[int, Any]]) -> Cell:
    given = {key: dict(value) if _is_section(key, value) else value for key, value in item.items()}
    for (*section, name), (_, value) in chosen.items():
        inner = given[section[0]] if section else given
        inner[name] = value
    return Cell(
        given,
        {".".join(where): value for where, (_, value) in chosen.items()},
        {(*path, *where): (*path, *where, KEY, index) for where, (index, _) in chosen.items()},
    )
