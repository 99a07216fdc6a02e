"""A finished stage's folder, read: its record, its recipe, and whether its files are as they were written."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dfcil_core.config import Recipe
from orchestrator.files import NOT_THERE, Unreadable
from orchestrator.plan.stage import Stage
from orchestrator.store import record as record_file
from orchestrator.store.our_files import first_problem

RECORD = "record.json"
STAGE = "stage.json"
FREED = "freed.json"
MOST_RECORD = 64 * 2**20  # bytes; ours are of some kilobytes
_FREED = TypeAdapter(tuple[str, ...])


class DamagedStage(Exception):
    """A finished stage is not what its record says. `folder` is where it lies, `reason` what is wrong."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"{folder}: {reason}")


def freed_of(folder: Path) -> tuple[str, ...]:
    """Names of the files that a finished stage was freed of; none: it is whole. Raises DamagedStage."""
    try:
        return _FREED.validate_json((folder / FREED).read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _lacking(folder, FREED, error) from error
    except ValidationError as error:
        raise DamagedStage(folder, f"{FREED} is no list of files: {first_problem(error)}") from error


def check(folder: Path, key: str, whole: bool = False, recipe: Recipe | None = None) -> dict[str, Any]:
    """Read a finished stage through: its record, with every file found as it was written. Raises DamagedStage.

    A stage that was freed is sound without the files it was freed of, unless it is to be `whole`. With its `recipe` the
    record is compared too.
    """
    record, missing = read_record(folder, key, recipe), freed_of(folder)
    if whole and missing:
        raise DamagedStage(folder, f"it was freed of {', '.join(missing)}")
    for name, written in record["files"].items():
        if name in missing:
            continue
        try:
            found = digest_of(folder / name)
        except OSError as error:
            raise _lacking(folder, name, error) from error
        if found != written:
            raise DamagedStage(folder, f"{name} is not as it was written ({_difference(written, found)})")
    return record


def read_stage(folder: Path) -> Stage:
    """The stage that a folder holds, by its recipe. Raises DamagedStage where that is not the folder's name."""
    try:
        stage = Stage(Recipe.from_json(json.loads((folder / STAGE).read_bytes())))
        name = stage.folder
    except OSError as error:
        raise _lacking(folder, STAGE, error) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedStage(folder, f"{STAGE} is no recipe: {error}") from error
    if name != folder.name:
        raise DamagedStage(folder, f"{STAGE} is the recipe of another stage, {name}")
    return stage


def read_record(folder: Path | str, key: str, recipe: Recipe | None = None) -> dict[str, Any]:
    """The record alone, its schema and its own digest looked at. Raises DamagedStage."""
    try:
        record = record_file.loads(_content(folder), recipe)
    except OSError as error:
        raise _lacking(Path(folder), RECORD, error) from error
    except record_file.Unsound as error:
        raise DamagedStage(Path(folder), f"{RECORD}: {error}") from error
    if record["key"] != key:
        raise DamagedStage(Path(folder), f"{RECORD}: it is the record of another stage")
    return record


def _content(folder: Path | str) -> bytes:
    """The bytes of a folder's record. Raises DamagedStage where they are too many."""
    # A report reads tens of thousands: path and file objects, and a buffer for each, would take a tenth of its time.
    file = os.open(f"{folder}/{RECORD}", os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        if size > MOST_RECORD:
            raise DamagedStage(Path(folder), f"{RECORD} is of {size} bytes")
        content = os.read(file, size + 1)
        if len(content) == size:
            return content
        # A file server may give less at a time than it was asked for, and a file may grow.
        with open(file, "rb", closefd=False) as rest:
            return content + rest.read(MOST_RECORD)
    finally:
        os.close(file)


def _lacking(folder: Path, name: str, error: OSError) -> DamagedStage | Unreadable:
    """What follows from a file of a stage that could not be read: the stage lacks it, or nothing can be told of it."""
    if error.errno in NOT_THERE:
        return DamagedStage(folder, f"{name} cannot be read: {error.strerror}")
    return Unreadable(folder / name, error)


def digest_of(path: Path) -> dict[str, Any]:
    """SHA-256 and size of a file, as a record has them."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "bytes": file.tell()}


def _difference(written: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    if written["bytes"] != found["bytes"]:
        return f"{found['bytes']} bytes instead of {written['bytes']}"
    return "another SHA-256"
