"""What lies in a runs folder, how large it is, and what may go."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.files import listing
from orchestrator.plan.stage import FOLDER
from orchestrator.store import sweep_folder
from orchestrator.store.at_work import CLUSTER, require_nobody_at_work
from orchestrator.store.stage_folder import FREED
from orchestrator.store.store import Store

LEARN, REMEMBER, DREAM = "learn", "remember", "dream"
SAVES, WORK, DAMAGED, REPLACED, LOGS, OTHER = "saves", "work", "damaged", "replaced", "logs", "other"


@dataclass
class Size:
    """Of one kind of thing."""

    count: int = 0
    bytes: int = 0
    freed: int = 0
    """Of the finished stages, those whose checkpoints were removed because nothing needs them."""


def sizes(store: Store) -> dict[str, Size]:
    """Kind to size: finished stages by their kind, saves within stages, stages being written, damaged ones, logs.

    All else in the runs folder goes by its name there (`mlflow.db`, `mlartifacts`, `sweeps`), hidden files as `other`.
    """
    found: dict[str, Size] = defaultdict(Size)
    for path in _entries(store.stages):
        size = found[_kind(path.name)]
        size.count += path.is_dir()
        size.freed += (path / FREED).exists()
        size.bytes += _bytes(path)
    for path in _entries(store.logs):
        found[LOGS].count += 1
        found[LOGS].bytes += _bytes(path)
    for path in _entries(store.runs):
        if path not in (store.stages, store.logs):
            size = found[OTHER if path.name.startswith(".") else path.name]
            size.count += len(listing(path)) if path.is_dir() else 1
            size.bytes += _bytes(path)
    return dict(found)


@dataclass(frozen=True)
class Waste:
    """Something that may go, and why."""

    path: Path
    bytes: int
    why: str


def waste(runs: Path, unused: bool, say: Callable[[str], None]) -> Iterator[Waste]:
    """What may be removed: damaged stages, the remains of stages that no launched sweep has, and of killed launches.

    With `unused`, finished stages that no sweep launched in this runs folder has, and their logs, too, and results that
    were put aside when they were computed again. Where a sweep cannot be read, what it has is not known: `say` is told,
    and no stage's remains are named. Raises UserError while anybody is at work here, who may be about to read what
    nobody has needed so far.
    """
    names = sweep_folder.names(runs)
    require_nobody_at_work(runs, names, say)
    store = Store(runs)
    digits, known = _needed(runs, names, say)
    for path in _entries(store.stages):
        kind = _kind(path.name)
        if kind == DAMAGED:
            yield Waste(path, _bytes(path), "damaged, and put aside")
        elif kind == REPLACED and unused:
            yield Waste(path, _bytes(path), "computed again since, and put aside")
        elif known and kind == SAVES and path.name[-16:] not in digits:
            yield Waste(path, _bytes(path), "of a stage that no launched sweep has")
        elif kind in (LEARN, REMEMBER, DREAM) and known and unused and path.name[-16:] not in digits:
            yield Waste(path, _bytes(path), "no launched sweep has it")
    for path in _entries(runs):
        if path.name.startswith(CLUSTER):
            yield Waste(path, _bytes(path), "of a launch on a cluster that was killed")
    for path in _entries(store.logs) if known and unused else ():
        if path.stem[-16:] not in digits:
            yield Waste(path, _bytes(path), "of a stage that no launched sweep has")


def _needed(runs: Path, names: list[str], say: Callable[[str], None]) -> tuple[set[str], bool]:
    """The first 16 digits of each stage that these sweeps have, as launched or as planned now; whether that is all."""
    digits: set[str] = set()
    known = True
    for name in names:
        try:
            digits |= {key[:16] for stages in sweep_folder.launched(runs, name).values() for key in stages}
        except UserError as damage:
            known = False
            say(f"only damaged stages go, none that this sweep may have: {damage}")
    for plan in sweep_folder.load_each(runs, names, lambda name, damage: None):  # `launched` has said what matters
        digits |= {key[:16] for key in plan.stages}
    return digits, known


def remove(store: Store, found: Waste) -> None:
    """Remove something that `waste` named. A stage goes at once: it is renamed first, then its files are removed."""
    path = found.path
    if path.parent == store.stages and not path.name.startswith("."):
        path = store.put_aside(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _kind(name: str) -> str:
    if name.startswith("."):
        sort = name[1:].partition("-")[0]
        return {"work": WORK, "saves": SAVES, "damaged": DAMAGED, "replaced": REPLACED}.get(sort, OTHER)
    stage = FOLDER.fullmatch(name)
    return stage["kind"] if stage else OTHER


def _entries(folder: Path) -> list[Path]:
    return sorted(folder / name for name in listing(folder))


def _bytes(path: Path) -> int:
    """What the files in it hold; links are counted, never followed."""
    if not path.is_dir() or path.is_symlink():
        return _length(path)
    return sum(_length(os.path.join(folder, name)) for folder, _, files in os.walk(path) for name in files)


def _length(file: str | Path) -> int:
    try:
        return os.lstat(file).st_size
    except FileNotFoundError:  # a launch that is at work moves its files while we look
        return 0
