"""The `class_order:` section: in which order the classes are learnt, one order or several."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from dfcil_core.data.catalog import DatasetInfo
from orchestrator.errors import choices
from orchestrator.spec import settings
from orchestrator.spec.model import SHUFFLED, STOPPED, ClassOrder
from orchestrator.spec.reading import Reading
from orchestrator.spec.yaml_document import Document, KeyPath, show

NATURAL = "natural"
_WORDS = (SHUFFLED.name, NATURAL)
_WRITE = "Write it as shuffled, natural, {numpy_seed: 1993}, or as the list of all classes"
_MOST_LABELS = 10_000_000  # that the orders of a sweep list together
_MISSING_SHOWN = 5


@dataclass(frozen=True)
class NumpySeed:
    """`{numpy_seed: 1993}`."""

    __pydantic_config__ = {"extra": "forbid"}

    numpy_seed: Annotated[int, Ge(0), Le(2**32 - 1)]
    """The seed of numpy's legacy generator, which permutes the labels."""


@dataclass(frozen=True)
class NamedOrder:
    """`{name: animals-last, classes: [...]}`."""

    __pydantic_config__ = {"extra": "forbid"}

    name: str
    """What the order is called in tables and in `exclude`."""
    classes: tuple[Any, ...]
    """Every class once, by its label or its name."""


def read_class_orders(reading: Reading) -> tuple[ClassOrder, ...]:
    """The orders, one for each that the section lists, and those that are right; none where the data set is wrong.

    A list in which a word (`shuffled`, `natural`), a mapping or a list stands lists orders; any other is one order.
    """
    document, dataset = reading.document, reading.dataset
    given = document.data.get("class_order", SHUFFLED.name)
    if dataset is None:
        return ()
    several = isinstance(given, list) and any(isinstance(item, dict | list) or item in _WORDS for item in given)
    if several and len(given) * dataset.info.classes > _MOST_LABELS:
        message = f"{len(given)} orders of {dataset.info.classes} classes are too many"
        document.add(("class_order",), message, len(given), "Make several sweeps of it, with fewer orders each")
        return ()
    items: list[tuple[KeyPath, Any]] = [(("class_order",), given)]
    if several:
        items = [(("class_order", index), item) for index, item in enumerate(given)]
    orders: dict[tuple[int, ...] | None, ClassOrder] = {}
    for path, item in items:
        order = _order(document, path, item, dataset.info)
        if order is None:
            continue
        if order.labels in orders:
            message = f"{show(item)} is the same order as {orders[order.labels].name}"
            document.add(path, message, item, "Give each once")
        elif order.name in [known.name for known in orders.values()]:
            document.add((*path, "name"), f"the name '{order.name}' is taken", order.name, "Give this one its own")
        else:
            orders[order.labels] = order
    return tuple(orders.values())


def _order(document: Document, path: KeyPath, item: Any, info: DatasetInfo) -> ClassOrder | None:
    """One order; None where it is wrong."""
    if item == SHUFFLED.name:
        return SHUFFLED
    if item == NATURAL:
        return ClassOrder(NATURAL, tuple(range(info.classes)))
    if isinstance(item, dict) and "numpy_seed" in item:
        form = settings.read(document, path, item, NumpySeed)
        seed = form.get("numpy_seed")
        return None if seed is None else ClassOrder(f"numpy-{seed}", numpy_order(info.classes, seed))
    if isinstance(item, dict):
        form = settings.read(document, path, item, NamedOrder)
        if "name" not in form:
            return None
        _check_name(document, (*path, "name"), form["name"])
        labels = _labels(document, (*path, "classes"), form["classes"], info)
        return None if labels is None else ClassOrder(form["name"], labels)
    if isinstance(item, list):
        labels = _labels(document, path, item, info)
        return None if labels is None else ClassOrder(_name_of(labels), labels)
    message = "the class order is empty" if item is None else f"unknown class order {show(item)}"
    document.add(path, message, item, f"{choices(str(item), _WORDS)}. {_WRITE}")
    return None


def numpy_order(classes: int, seed: int) -> tuple[int, ...]:
    """The labels as `numpy.random.seed(seed); numpy.random.permutation(classes)` orders them, on every numpy.

    The order of PyCIL (seed 1993) and, for ImageNet, of the public code of Smith et al., ICCV 2021, which shuffles a
    list with the same generator.
    """
    from numpy.random import RandomState  # not at the top: most specs need no numpy to be read

    return tuple(RandomState(seed).permutation(classes).tolist())


def _check_name(document: Document, path: KeyPath, name: str) -> None:
    settings.folder(document, path, name)
    if name in _WORDS or name.startswith(("numpy-", "given-")) or "@" in name or STOPPED.fullmatch(name):
        message = f"'{name}' cannot name an order of your own"
        document.add(path, message, name, "Take another name, without @")


def _labels(document: Document, path: KeyPath, given: Sequence[Any], info: DatasetInfo) -> tuple[int, ...] | None:
    """Every label of the data set, each once, in the order given by label or by name; None where that is wrong."""
    before = len(document.problems)
    by_name = {name: label for label, name in enumerate(info.class_names)}
    seen: dict[int, None] = {}
    for index, item in enumerate(given):
        here: KeyPath = (*path, index)
        label = _label(document, here, item, by_name, info)
        if label in seen:
            document.add(here, f"{show(item)} is given twice", item, "Give each class once")
        elif label is not None:
            seen[label] = None
    if len(document.problems) > before:
        return None
    missing = [label for label in range(info.classes) if label not in seen]
    if missing:
        shown = [info.class_names[label] if info.class_names else str(label) for label in missing[:_MISSING_SHOWN]]
        more = f" and {len(missing) - _MISSING_SHOWN} more" if len(missing) > _MISSING_SHOWN else ""
        message = f"{len(missing)} of {info.classes} classes are missing: {', '.join(shown)}{more}"
        document.add(path, message, list(given), "Give every class once")
        return None
    return tuple(seen)


def _label(document: Document, path: KeyPath, item: Any, by_name: dict[str, int], info: DatasetInfo) -> int | None:
    """The label of a class given by its label or its name."""
    if type(item) is int:
        if 0 <= item < info.classes:
            return item
        document.add(path, f"{item} is no label of {info.name}", item, f"They are 0 to {info.classes - 1}")
    elif not isinstance(item, str):
        document.add(path, f"{show(item)} is no class", item, "Give a label, as 3, or a class's name")
    elif item in by_name:
        return by_name[item]
    elif by_name:
        document.add(path, f"{info.name} has no class {show(item)}", item, choices(item, by_name))
    else:
        message = f"the names of the classes of {info.name} are not known"
        document.add(path, message, item, f"Give labels, 0 to {info.classes - 1}")
    return None


def _name_of(labels: tuple[int, ...]) -> str:
    """The name of an order that was given none: of its content alone, so that every sweep has the same for it."""
    if labels == tuple(range(len(labels))):
        return NATURAL
    return f"given-{hashlib.sha256(','.join(map(str, labels)).encode()).hexdigest()[:6]}"
