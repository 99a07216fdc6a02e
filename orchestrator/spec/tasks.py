"""The `tasks:` section: how the classes are dealt to tasks."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from orchestrator.spec import settings
from orchestrator.spec.model import Split
from orchestrator.spec.reading import Reading
from orchestrator.spec.yaml_document import Document, KeyPath, show


@dataclass(frozen=True)
class SplitForm:
    """`{first: 50, then: 10}`: classes of the first task, and of each task after it."""

    __pydantic_config__ = {"extra": "forbid"}

    first: Annotated[int, Ge(1)]
    """Classes of the first task."""
    then: Annotated[int, Ge(1)]
    """Classes of each task after it."""


def read_tasks(reading: Reading) -> tuple[Split, ...]:
    """The splits, one for each item; whether they fit is checked where the data set is right."""
    document, dataset = reading.document, reading.dataset
    given = document.data.get("tasks")
    if not isinstance(given, list) or not given:
        message = "the sweep has no task splits" if given in (None, []) else f"{show(given)} is not a list"
        document.add(("tasks",), message, given, "Write them as [5, 10] or [{first: 50, then: 10}]")
        return ()
    splits: dict[tuple[int, ...], Split] = {}
    for index, item in enumerate(given):
        path: KeyPath = ("tasks", index)
        sizes = _sizes(document, path, item, dataset.info.classes if dataset else None)
        if sizes is None:
            continue
        if sizes in splits:
            document.add(path, f"{show(item)} is the same split as {splits[sizes].label}", item, "Give each once")
        else:
            label = f"{item['first']}+{item['then']}" if isinstance(item, dict) else str(item)
            splits[sizes] = Split(sizes, label)
    return tuple(splits.values())


def _sizes(document: Document, path: KeyPath, item: Any, classes: int | None) -> tuple[int, ...] | None:
    """Classes of each task; None where the split is wrong, or the number of classes unknown."""
    if isinstance(item, dict):
        form = settings.read(document, path, item, SplitForm)
        return _large_first(document, path, item, classes, **form) if len(form) == 2 and classes else None
    if type(item) is not int:
        remedy = "Write a split as 5, or as {first: 50, then: 10}"
        document.add(path, f"{show(item)} is no number of tasks", item, remedy)
    elif item < 1:
        document.add(path, f"{item} is too small", item, "It must be at least 1")
    elif classes and classes % item:
        message = f"{classes} classes cannot be dealt evenly to {item} tasks"
        document.add(path, message, item, f"The divisors of {classes} are {_divisors(classes)}")
    elif classes:
        return (classes // item,) * item
    return None


def _large_first(
    document: Document, path: KeyPath, item: Any, classes: int, first: int, then: int
) -> tuple[int, ...] | None:
    left = classes - first
    if left < 1:
        message = f"{first} of {classes} classes in the first task leave none for the next"
        document.add((*path, "first"), message, first, f"It must be below {classes}")
    elif left % then:
        message = f"the {left} classes after the first {first} cannot be dealt {then} at a time"
        document.add((*path, "then"), message, then, f"The divisors of {left} are {_divisors(left)}")
    else:
        return (first,) + (then,) * (left // then)
    return None


def _divisors(number: int) -> str:
    found = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return ", ".join(map(str, sorted({*found, *(number // divisor for divisor in found)})))
