"""A spec in YAML to a validated SweepSpec, or to all of its mistakes at once. Nothing is started, nothing written.

Precedence of settings, lowest first: the defaults (the published recipe), the method's own recipe, the spec's
`training`, `dreaming`, `memory` and `quirks`, the method's entry under `methods`. `--set` replaces what the text says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from dfcil_core.data.catalog import DatasetInfo
from dfcil_core.methods import plugins
from orchestrator.errors import UserError, choices
from orchestrator.spec import settings
from orchestrator.spec.dataset import read_dataset
from orchestrator.spec.exclude import Cells, read_exclusions
from orchestrator.spec.methods import read_methods
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec
from orchestrator.spec.settings import folder, unknown
from orchestrator.spec.tune import read_tune
from orchestrator.spec.yaml_document import Document, KeyPath, read_document, show
from sweeps import bundled

_KEYS = (
    "name",
    "dataset",
    "methods",
    "tasks",
    "seeds",
    "repeats",
    "training",
    "dreaming",
    "memory",
    "quirks",
    "exclude",
    "tune",
)
_MOST_REPEATS = 10_000


@dataclass(frozen=True)
class _SplitForm:
    """`{first: 50, then: 10}`: classes of the first task, and of each task after it."""

    __pydantic_config__ = {"extra": "forbid"}

    first: Annotated[int, Ge(1)]
    then: Annotated[int, Ge(1)]


def load_spec(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    data_root: str | None = None,
    plugin: str | None = None,
) -> SweepSpec:
    """The sweep of a spec: a file, or the name of a bundled one.

    `overrides` are settings by dotted path with values in YAML, `training.lr=0.05` or `methods.abd.mu=0.2`.
    `data_root` is where the data set lies, in the place of its `root`; `plugin` is a file with further methods.
    Raises SpecError with every mistake in the spec, UserError when there is no such file or it is no text.
    """
    path = Path(source).expanduser()
    specs = bundled()
    if not path.is_file() and str(source) in specs:
        path = specs[str(source)]
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        remedy = choices(str(source), specs) if specs else "There are no bundled specs"
        raise UserError(f"{source}: no such file, and no bundled spec of that name. {remedy}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: this is no text in UTF-8 (byte {error.start} is not). Save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None
    return parse_spec(text, str(path), overrides, data_root=data_root, plugin=plugin)


def load_plugins(path: str | None = None) -> None:
    """Register the methods of installed packages, and those in the file at `path`. Raises UserError."""
    try:
        plugins.load_entry_points()
        if path is not None:
            plugins.load_file(path)
    except plugins.PluginError as error:
        raise UserError(str(error)) from error


def parse_spec(
    text: str,
    file_name: str,
    overrides: Sequence[str] = (),
    *,
    data_root: str | None = None,
    plugin: str | None = None,
    known: DatasetInfo | None = None,
) -> SweepSpec:
    """The sweep that `text` describes; `file_name` is for messages. Raises SpecError with every mistake.

    `known` is the data set as it was read before: its files are not looked at again.
    """
    load_plugins(plugin)
    document = read_document(text, file_name, overrides)
    data = document.data
    for key, value in data.items():
        if key not in _KEYS:
            unknown(document, (key,), value, _KEYS)
    name = _name(document)
    dataset = read_dataset(document, data_root, known)
    entries = read_methods(document)
    _check_size(document, dataset, entries)
    splits = _splits(document, dataset)
    seeds = _seeds(document)
    exclude = read_exclusions(document, Cells(entries, splits, seeds))
    tune = read_tune(document, entries, splits, seeds)
    document.check()
    plugin = plugin and str(Path(plugin).expanduser().absolute())
    return SweepSpec(name, dataset, tuple(entries), splits, seeds, exclude, text, tune, tuple(overrides), plugin=plugin)


def _name(document: Document) -> str:
    value = document.data.get("name")
    if value is None:
        document.add(("name",), "the sweep has no name", None, "Give it one, as in `name: my-sweep`")
    else:
        folder(document, ("name",), value)
    return str(value)


def _check_size(document: Document, dataset: Dataset | None, entries: Sequence[MethodEntry]) -> None:
    """A generator of images doubles its size a few times, and cannot make every size."""
    size = dataset.image_size if dataset else 0
    for entry in entries:
        multiple = entry.method.size_multiple(size)
        if size % multiple:
            verb = "dreams" if entry.method.dreams else "makes"
            message = f"{size} is not divisible by {multiple}, as images that {entry.label} {verb} must be"
            below = size // multiple * multiple
            near = f"{below} or {below + multiple} would do" if below else f"{multiple} would do"
            document.add(("dataset", "image_size"), message, size, near)
            return


def _splits(document: Document, dataset: Dataset | None) -> tuple[Split, ...]:
    given = document.data.get("tasks")
    if not isinstance(given, list) or not given:
        message = "the sweep has no task splits" if given in (None, []) else f"{show(given)} is not a list"
        document.add(("tasks",), message, given, "Write them as [5, 10] or [{first: 50, then: 10}]")
        return ()
    splits: dict[tuple[int, ...], Split] = {}
    for index, item in enumerate(given):
        path = ("tasks", index)
        sizes = _sizes(document, path, item, dataset.info.classes if dataset else None)
        if sizes in splits:
            document.add(path, f"{show(item)} is the same split as {splits[sizes].label}", item, "Give each once")
        elif sizes:
            label = f"{item['first']}+{item['then']}" if isinstance(item, dict) else str(item)
            splits[sizes] = Split(sizes, label)
    return tuple(splits.values())


def _sizes(document: Document, path: KeyPath, item: Any, classes: int | None) -> tuple[int, ...] | None:
    """Classes of each task; None where the split is wrong, or the number of classes unknown."""
    if isinstance(item, dict):
        form = settings.read(document, path, item, _SplitForm)
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


def _large_first(document: Document, path: KeyPath, item: Any, classes: int, first: int, then: int):
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
    return ", ".join(str(divisor) for divisor in range(1, number + 1) if number % divisor == 0)


def _seeds(document: Document) -> tuple[int, ...]:
    data = document.data
    if "repeats" in data:
        if "seeds" in data:
            remedy = "Leave one out: repeats: 3 is seeds: [0, 1, 2]"
            document.add(("repeats",), "`seeds` and `repeats` are both given", data["repeats"], remedy, at_key=True)
        repeats = data["repeats"]
        if type(repeats) is not int:
            document.add(("repeats",), f"{show(repeats)} is not a whole number", repeats)
        elif not 1 <= repeats <= _MOST_REPEATS:
            size, bound = ("small", "at least 1") if repeats < 1 else ("large", f"at most {_MOST_REPEATS}")
            document.add(("repeats",), f"{repeats} is too {size}", repeats, f"It must be {bound}")
        elif "seeds" not in data:
            return tuple(range(repeats))
    given = data.get("seeds", [] if "repeats" in data else [0, 1, 2])
    if not isinstance(given, list) or not (given or "repeats" in data):
        message = "the sweep has no seeds" if given in (None, []) else f"{show(given)} is not a list"
        document.add(("seeds",), message, given, "Write them as [0, 1, 2]")
        return ()
    seen: dict[int, None] = {}
    for index, seed in enumerate(given):
        path = ("seeds", index)
        if type(seed) is not int:
            document.add(path, f"{show(seed)} is not a whole number", seed)
        elif seed < 0:
            document.add(path, f"{seed} is too small", seed, "It must be at least 0")
        elif seed in seen:
            document.add(path, f"{seed} is given twice", seed, "Equal seeds are the same work")
        else:
            seen[seed] = None
    return tuple(seen)
