"""Reading a runs folder through: every finished stage against its checksums and its own logits, and sweeps' files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dfcil_core.artifacts import LOGITS
from dfcil_core.config import Recipe
from dfcil_core.counts import count_right, count_right_locally
from orchestrator.errors import UserError
from orchestrator.files import Unreadable, listing
from orchestrator.store import derived, sweep_folder
from orchestrator.store.failures import FAILED
from orchestrator.store.launchers import LAUNCHES
from orchestrator.store.our_files import read, read_bytes
from orchestrator.store.record import SEAL
from orchestrator.store.stage_folder import DamagedStage, check, read_stage
from orchestrator.store.store import Store

_OBJECT = TypeAdapter(dict[str, Any])
_AGAIN = "Remove it: the next launch or `sync` writes it anew"


@dataclass(frozen=True)
class Looked:
    """What was found of one stage."""

    name: str
    """Of its folder."""
    reason: str | None = None
    """What is wrong with it; None: nothing."""
    sealed: bool = True
    """Whether its record has a SHA-256 of its own; older ones have none."""
    unread: Unreadable | None = None
    """Why nothing is known of it; None: it was read."""


def verify(store: Store) -> Iterator[Looked]:
    """Read every finished stage through: its files by their checksums, its counts by its test logits, if it has any."""
    for path in (store.stages / name for name in sorted(listing(store.stages)) if not name.startswith(".")):
        try:
            stage = read_stage(path)
            record = check(path, stage.key, recipe=stage.recipe)
            _recount(path, record, stage.recipe)
        except DamagedStage as damage:
            if path.exists():  # else a launch has put it aside while we looked
                yield Looked(path.name, damage.reason)
        except Unreadable as why:
            yield Looked(path.name, unread=why)
        else:
            yield Looked(path.name, sealed=SEAL in record)


def verify_sweeps(runs: Path) -> Iterator[tuple[Path, str]]:
    """The files of sweeps that are not as we write them, each with what is wrong and what to do."""
    for name in sweep_folder.names(runs):
        folder = sweep_folder.sweep_folder(runs, name)
        try:
            sweep_folder.launched(runs, name)
            sweep_folder.load(runs, name)
        except UserError as damage:
            yield folder, str(damage)
        for path in sorted(folder.glob("*.json")):
            kind: TypeAdapter[Any] = FAILED if path.name == "failed.json" else _OBJECT
            if path.name not in (sweep_folder.JOBS, sweep_folder.SETTINGS, sweep_folder.PLAN):
                try:
                    read(path, kind, _AGAIN)
                except UserError as damage:
                    yield path, str(damage)
                except FileNotFoundError:
                    continue
        for path in sorted((folder / LAUNCHES).glob("*.json")) + sorted((folder / LAUNCHES).glob(".lease-*.json")):
            try:
                read(path, _OBJECT, "It is ignored")
            except UserError as damage:
                yield path, str(damage)
            except FileNotFoundError:
                continue


def _recount(folder: Path, record: Mapping[str, Any], recipe: Recipe) -> None:
    """Raise DamagedStage where the record, or what was derived from it, counts otherwise than the logits do."""
    if recipe.kind != "learn" or LOGITS not in record["files"]:
        return
    told = derived.of(folder)
    logits, labels = _logits(folder / LOGITS)
    seen = sum(map(len, recipe.classes))
    if logits.ndim != 2 or logits.shape[1] < seen or labels.shape != logits.shape[:1]:
        raise DamagedStage(folder, f"{LOGITS} are of other classes or images than the recipe's")
    counted = count_right(logits, labels, recipe.classes)
    for name in ("images", "correct"):
        if record["evaluation"][name] != counted[name]:
            raise DamagedStage(folder, f"record.json: evaluation.{name} is not what {LOGITS} count")
    order = sum(recipe.classes, ())
    for file, groups in (("record.json", record["evaluation"]["correct_local"]), (derived.FILE, told)):
        for group, count in groups.items():
            if count != _right_within(logits, labels, order, group):
                raise DamagedStage(folder, f"{file}: correct_local.{group} is not what {LOGITS} count")


def _right_within(logits: Any, labels: Any, order: tuple[int, ...], group: str) -> int | None:
    """Right answers within a group of consecutive classes; None where it is none of this order."""
    names = list(map(str, order))
    wanted = group.split("-")
    if wanted[0] not in names:
        return None
    start = names.index(wanted[0])
    stop = start + len(wanted)
    if names[start:stop] != wanted:
        return None
    (count,) = count_right_locally(logits[:, start:stop], labels - start, (order[start:stop],)).values()
    return count


def _logits(path: Path) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(read_bytes(path))
        return tensors["logits"], tensors["labels"].astype("int64")
    except Unreadable:
        raise
    except (UserError, OSError, SafetensorError, KeyError) as error:
        raise DamagedStage(path.parent, f"{path.name} cannot be read: {error}") from error
