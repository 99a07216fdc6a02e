"""The `tasks:` section: how the classes are dealt to tasks; `class_order` and `stop_after` are read with it."""

import hashlib
import math
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen

from orchestrator.spec import settings
from orchestrator.spec.class_order import read_class_orders
from orchestrator.spec.model import Split
from orchestrator.spec.reading import Reading
from orchestrator.spec.size import MOST_STAGES
from orchestrator.spec.yaml_document import Document, KeyPath, show

_LONGEST_LABEL = 60
_MOST_WRITTEN = 20  # tasks that a message writes out


@dataclass(frozen=True)
class LargeFirst:
    """`{first: 50, then: 10}`: classes of the first task, and of each after it; the last may take what is left."""

    __pydantic_config__ = {"extra": "forbid"}

    first: Annotated[int, Ge(1)]
    """Classes of the first task."""
    then: Annotated[int, Ge(1)]
    """Classes of each task after it."""
    last: Literal["smaller"] | None = None
    """`smaller`: the last task takes what is left where `then` does not divide the rest."""


@dataclass(frozen=True)
class Sizes:
    """`{sizes: [50, 10, 40]}`: classes of each task."""

    __pydantic_config__ = {"extra": "forbid"}

    sizes: Annotated[tuple[Annotated[int, Ge(1)], ...], MinLen(1)]
    """Classes of each task, all classes together."""


def read_tasks(reading: Reading) -> tuple[Split, ...]:
    """The splits, one for each item and class order; whether they fit is checked where the data set is right."""
    document, dataset = reading.document, reading.dataset
    orders = read_class_orders(reading)
    given = document.data.get("tasks")
    if not isinstance(given, list) or not given:
        message = "the sweep has no task splits" if given in (None, []) else f"{show(given)} is not a list"
        document.add(("tasks",), message, given, "Write them as [5, 10] or [{first: 50, then: 10}]")
        return ()
    splits: dict[tuple[int, ...], Split] = {}
    classes = dataset.info.classes if dataset else None
    for index, item in enumerate(given):
        path: KeyPath = ("tasks", index)
        sizes = _sizes(document, path, item, classes)
        if sizes is None:
            continue
        if sizes in splits:
            document.add(path, f"{show(item)} is the same split as {splits[sizes].tasks}", item, "Give each once")
        else:
            splits[sizes] = Split(sizes, split_label(item, classes))
    if len(splits) * len(orders) > MOST_STAGES:
        message = f"{len(orders)} orders of {len(splits)} splits are too large a sweep"
        document.add(("class_order",), message, len(orders), "Make several sweeps of it")
        return ()
    stop = _stop_after(document, list(splits.values()))
    return tuple(
        Split(split.sizes, split.tasks, order, stop if stop and stop < len(split.sizes) else None)
        for split in splits.values()
        for order in orders
    )


def split_label(item: Any, classes: int | None) -> str:
    """How a split is named that `tasks` gives as `item`: `5`, `50+10`, `50+10+10+30`, `100+7x128+4`.

    What is no split is named as it stands. `classes` is their number, None where it is not known.
    """
    if isinstance(item, dict):
        first, then, sizes = (item.get(key) for key in ("first", "then", "sizes"))
        if set(item) == {"first", "then", "last"} and type(first) is type(then) is int and classes and then > 0:
            rest = (classes - first) % then
            return _named(_with_rest(classes, first, then)) if rest else f"{first}+{then}"
        if set(item) == {"first", "then"}:
            return f"{first}+{then}"
        if set(item) == {"sizes"} and isinstance(sizes, list) and all(type(size) is int for size in sizes):
            return _named(tuple(sizes))
    return show(item) if isinstance(item, bool | list | dict) else str(item)


def _named(sizes: tuple[int, ...]) -> str:
    """The label of these sizes: as another form of the same split has it, else written out, runs of three and more as
    `7x128`; of what is too long, the number of tasks and a digest."""
    if len(set(sizes)) == 1:
        return str(len(sizes))
    if len(sizes) > 2 and len(set(sizes[1:])) == 1:
        return f"{sizes[0]}+{sizes[1]}"
    runs = [(size, len(list(run))) for size, run in groupby(sizes)]
    label = "+".join(f"{size}x{count}" if count > 2 else "+".join([str(size)] * count) for size, count in runs)
    if len(label) <= _LONGEST_LABEL:
        return label
    return f"{len(sizes)}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def _sizes(document: Document, path: KeyPath, item: Any, classes: int | None) -> tuple[int, ...] | None:
    """Classes of each task; None where the split is wrong, or the number of classes unknown."""
    if isinstance(item, dict):
        before = len(document.problems)
        form = settings.read(document, path, item, Sizes if "sizes" in item else LargeFirst)
        # A mistake told already adds no problem, and leaves its value out.
        whole = "sizes" in form or {"first", "then"} <= form.keys()
        if len(document.problems) > before or not whole or not classes:
            return None
        return (
            _written_out(document, path, classes, **form)
            if "sizes" in form
            else _large_first(document, path, classes, **form)
        )
    if type(item) is not int:
        remedy = "Write a split as 5, as {first: 50, then: 10}, or as {sizes: [50, 10, 40]}"
        document.add(path, f"{show(item)} is no number of tasks", item, remedy)
    elif item < 1:
        document.add(path, f"{item} is too small", item, "It must be at least 1")
    elif classes and classes % item:
        message = f"{classes} classes cannot be dealt evenly to {item} tasks"
        document.add(path, message, item, f"The divisors of {classes} are {_divisors(classes)}{_uneven(classes, item)}")
    elif classes:
        return (classes // item,) * item
    return None


def _uneven(classes: int, tasks: int) -> str:
    """How to write so many tasks of nearly as many classes, where there are that many classes, and few enough tasks."""
    if not tasks < classes or tasks > _MOST_WRITTEN:
        return ""
    each, more = divmod(classes, tasks)
    return f"; nearly even is {{sizes: {[each + (task < more) for task in range(tasks)]}}}"


def _written_out(document: Document, path: KeyPath, classes: int, sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    if sum(sizes) == classes:
        return sizes
    message = f"the sizes add up to {sum(sizes)}, and there are {classes} classes"
    document.add((*path, "sizes"), message, list(sizes), f"They must add up to {classes}")
    return None


def _large_first(
    document: Document, path: KeyPath, classes: int, first: int, then: int, last: str | None = None
) -> tuple[int, ...] | None:
    left = classes - first
    if left < 1:
        message = f"{first} of {classes} classes in the first task leave none for the next"
        document.add((*path, "first"), message, first, f"It must be below {classes}")
    elif left % then and not last:
        message = f"the {left} classes after the first {first} cannot be dealt {then} at a time"
        remedy = f"The divisors of {left} are {_divisors(left)}. With `last: smaller` the last task takes what is left"
        document.add((*path, "then"), message, then, remedy)
    else:
        return _with_rest(classes, first, then)
    return None


def _with_rest(classes: int, first: int, then: int) -> tuple[int, ...]:
    """`first`, then as often as it goes `then`, and what is left."""
    often, rest = divmod(classes - first, then)
    return (first, *(then,) * often, *((rest,) if rest else ()))


def _stop_after(document: Document, splits: list[Split]) -> int | None:
    """The number of tasks after which every split stops; None: none does."""
    given = document.data.get("stop_after")
    if given is None:
        return None
    path: KeyPath = ("stop_after",)
    if type(given) is not int:
        document.add(path, f"{show(given)} is not a whole number", given, "It is a number of tasks, as 3")
    elif given < 1:
        document.add(path, f"{given} is too small", given, "It must be at least 1")
    elif splits and given > (most := min(len(split.sizes) for split in splits)):
        message = f"{given} is too large: a split of this sweep has {most} tasks"
        document.add(path, message, given, f"It must be at most {most}")
    else:
        return given
    return None


def _divisors(number: int) -> str:
    found = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return ", ".join(map(str, sorted({*found, *(number // divisor for divisor in found)})))
