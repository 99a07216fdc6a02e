"""The `exclude:` section: which cells of methods x splits x class orders x seeds are left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dfcil_core.methods import METHODS
from orchestrator.errors import choices
from orchestrator.spec import settings
from orchestrator.spec.model import Exclusion, MethodEntry, Split, matches
from orchestrator.spec.reading import Reading
from orchestrator.spec.settings import Common
from orchestrator.spec.tasks import split_label
from orchestrator.spec.yaml_document import Document, KeyPath, show

_FIELDS = ("method", "tasks", "class_order", "seed", "fold")


@dataclass(frozen=True)
class Cells:
    """What there is to exclude from: methods x splits x class orders x seeds."""

    entries: Sequence[MethodEntry]
    splits: Sequence[Split]
    seeds: Sequence[int]
    folds: Sequence[int | None] = (None,)


def read_exclude(reading: Reading) -> tuple[Exclusion, ...]:
    """The exclusions."""
    document, cells = reading.document, Cells(reading.methods, reading.splits, reading.seeds)
    if reading.dataset and reading.dataset.folds:
        cells = replace(cells, folds=reading.dataset.folds)
    given = document.data.get("exclude")
    if given is None:
        return ()
    if not isinstance(given, list):
        remedy = "Write it as [{method: lwf, tasks: 5, seed: 2}]"
        document.add(("exclude",), f"{show(given)} is not a list", given, remedy)
        return ()
    mentioned = _Mentioned(document, cells, reading.dataset.info.classes if reading.dataset else None)
    read = [_exclusion(document, ("exclude", index), item, mentioned, cells) for index, item in enumerate(given)]
    exclusions = [exclusion for exclusion in read if exclusion]
    if not document.problems:
        _check_effect(document, exclusions, cells)
    return tuple(exclusions)


class _Mentioned:
    """What the spec names, right or wrong: an exclusion of an entry with a mistake is not a second mistake."""

    def __init__(self, document: Document, cells: Cells, classes: int | None) -> None:
        data = document.data
        self.classes = classes
        self.names: dict[str, None] = {}
        """Methods and labels."""
        self.settings: dict[str, type] = {}
        """Dotted path of each setting of these methods to the dataclass that declares it."""
        for item in _items(data.get("methods")):
            self._add_method(item if isinstance(item, dict) else {"name": item})
        self.names |= {entry.label: None for entry in cells.entries}  # those of a grid's cells are not in the text
        self.splits = {split_label(item, classes): None for item in _items(data.get("tasks"))}

    def _add_method(self, given: dict[str, Any]) -> None:
        self.names |= {given[key]: None for key in ("label", "name") if isinstance(given.get(key), str)}
        method = METHODS.get(given["name"]) if isinstance(given.get("name"), str) else None
        if method is None:
            return
        declared = {"": method.settings_type, "training.": settings.SECTIONS["training"]}
        if method.dreams:
            declared["dreaming."] = settings.SECTIONS["dreaming"]
        for prefix, settings_type in declared.items():
            self.settings |= {f"{prefix}{name}": settings_type for name in settings.names(settings_type)}
        self.settings |= {"quirks": Common, **({"memory": Common} if method.group == "memory" else {})}


def _items(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def _exclusion(document: Document, path: KeyPath, given: Any, mentioned: _Mentioned, cells: Cells) -> Exclusion | None:
    if not isinstance(given, dict) or not given:
        message = f"{show(given)} names nothing" if given in ({}, None) else f"{show(given)} is not a mapping"
        document.add(
            path,
            message,
            given,
            f"Write it as {{method: lwf, tasks: 5, seed: 2}}, with any of {', '.join(_FIELDS)}",
        )
        return None
    method, tasks, order, seed, fold = (given.get(key) for key in _FIELDS)
    split = split_label(tasks, mentioned.classes)
    if "method" in given and (not isinstance(method, str) or method not in mentioned.names):
        message = f"{show(method)} is no method or label of this sweep"
        document.add((*path, "method"), message, method, choices(str(method), mentioned.names))
    if "tasks" in given and split not in mentioned.splits:
        message = f"{show(tasks)} is no split of this sweep"
        document.add((*path, "tasks"), message, tasks, choices(split, mentioned.splits))
    if "class_order" in given:
        _check_order(document, (*path, "class_order"), order, cells)
    if "seed" in given:
        _check_number(document, (*path, "seed"), seed, cells.seeds, ("seeds", "repeats"))
    if "fold" in given:
        _check_number(document, (*path, "fold"), fold, cells.folds, ("dataset",))
    settings: dict[str, object] = {}
    for key, value in given.items():
        if key not in _FIELDS:
            settings |= _setting(document, (*path, key), value, mentioned)
    return Exclusion(method, split if "tasks" in given else None, seed, settings, order, fold)


def _check_order(document: Document, path: KeyPath, order: Any, cells: Cells) -> None:
    known = list(dict.fromkeys(split.order.name for split in cells.splits))
    if document.sound("class_order", "tasks", "dataset") and order not in known:
        document.add(path, f"{show(order)} is no class order of this sweep", order, choices(str(order), known))


def _check_number(
    document: Document, path: KeyPath, value: Any, known: Sequence[int | None], sections: tuple[str, ...]
) -> None:
    """Note a seed, or a fold, that is none of this sweep's; `sections` say which there are."""
    if type(value) is not int:
        document.add(path, f"{show(value)} is not a whole number", value)
    elif document.sound(*sections) and value not in known:
        listed = ", ".join(map(str, known[:10])) + (", ..." if len(known) > 10 else "")
        remedy = "It has no folds" if known[0] is None else f"Choices: {listed}"
        document.add(path, f"{value} is no {path[-1]} of this sweep", value, remedy)


def _setting(document: Document, path: KeyPath, value: Any, mentioned: _Mentioned) -> dict[str, object]:
    """One setting by its dotted path, its value converted to the setting's type so that 1 finds 1.0."""
    dotted = str(path[-1])
    if dotted not in mentioned.settings:
        message = f"no method of this sweep has a setting '{dotted}'"
        document.add(path, message, value, choices(dotted, [*_FIELDS, *mentioned.settings]), at_key=True)
        return {}
    name = dotted.rpartition(".")[2]
    converted = settings.read_one(document, path, name, value, mentioned.settings[dotted])
    return {dotted: converted[name]} if converted else {}


def _check_effect(document: Document, exclusions: Sequence[Exclusion], cells: Cells) -> None:
    """An exclusion that matches nothing is a slip of the pen; so is a sweep with nothing left."""
    excluded = []
    for index, exclusion in enumerate(exclusions):
        # Each field speaks of one axis: an exclusion is a block of cells, and the grid need not be gone through.
        methods = replace(exclusion, tasks=None, class_order=None, seed=None, fold=None)
        entries = {
            position
            for position, entry in enumerate(cells.entries)
            if matches(methods, entry, cells.splits[0], cells.seeds[0])
        }
        if not entries:
            remedy = "Leave it out, or mend it: settings are compared after all defaults and overrides"
            document.add(("exclude", index), "matches no job of this sweep", document.data["exclude"][index], remedy)
        excluded.append((entries, exclusion))
    for position, split, seed, fold in product(range(len(cells.entries)), cells.splits, cells.seeds, cells.folds):
        if not any(
            position in entries
            and exclusion.tasks in (None, split.tasks)
            and exclusion.class_order in (None, split.order.name)
            and exclusion.seed in (None, seed)
            and exclusion.fold in (None, fold)
            for entries, exclusion in excluded
        ):
            return
    document.add(("exclude",), "leaves no job in the sweep", document.data["exclude"], "Exclude less")
