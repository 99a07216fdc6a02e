"""Carrying finished stages to another machine, in a tar file that may come from a stranger.

An archive holds plain files alone, `<stage's folder>/<file>`: of each stage first stage.json and record.json, of one
that was freed freed.json, then the files that the record names and that it was not freed of, of exactly the size and
SHA-256 that the record gives. Everything else ends the import: other members (links, devices, folders, extended
headers), other names, other orders. Nothing in it is executed, unpickled or given a place of its own choosing: a
folder's name must be the one that its recipe has, and the names of files cannot hold a separator. Python's own
extraction is not used; the 512-byte headers are read one by one.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from dfcil_core.config import Recipe
from orchestrator.errors import UserError
from orchestrator.files import replacing
from orchestrator.plan.stage import Stage
from orchestrator.store import record as record_file
from orchestrator.store.lease import Held
from orchestrator.store.stage_folder import FREED, MOST_RECORD, RECORD, STAGE, DamagedStage, check, freed_of, read_stage
from orchestrator.store.store import Store

MOST_BYTES = 100 * 2**30  # of an import, unless told otherwise
_BLOCK, _CHUNK = tarfile.BLOCKSIZE, 1 << 20
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*-[0-9a-f]{16}")
_SPARE_BYTES = 2**28  # that an import leaves free on the disk


@dataclass
class Imported:
    """What an import did, by names of folders."""

    added: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    """In the store already: left as they were."""
    held: list[str] = field(default_factory=list)
    """Being computed here at the moment: left alone."""


def export(store: Store, stages: Iterable[Stage], path: Path) -> int:
    """Write finished stages to a new tar file, whole or not at all; how many.

    Raises UserError where the file exists, or a stage is damaged.
    """
    if path.exists():
        raise UserError(f"{path} exists already: give another name, or remove it first")
    count = 0
    with replacing(path) as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for stage in stages:
            _add(archive, store.folder(stage), stage)
            count += 1
    return count


def everything(store: Store) -> Iterator[Stage]:
    """All finished stages of a store. Raises UserError for a damaged one."""
    for name in sorted(name for name in store.names() if not name.startswith(".")):
        try:
            yield read_stage(store.stages / name)
        except DamagedStage as damage:
            raise UserError(_damaged(damage)) from damage


def load(store: Store, path: Path, most_bytes: int = MOST_BYTES) -> Imported:
    """Bring the stages of an archive into the store.

    Raises UserError, with the place in the archive, at the first thing that is not as `export` writes it. Stages before
    it are complete and stay; of the one that it is in, nothing does.
    """
    store.prepare()
    done = Imported()
    try:
        with path.open("rb") as file:
            members = _Members(path, file, min(most_bytes, shutil.disk_usage(store.stages).free - _SPARE_BYTES))
            while (member := members.next()) is not None:
                _load_stage(store, members, member, done)
    except OSError as error:
        raise UserError(
            f"{path}: the import stopped, {error.strerror or error}. Stages imported so far stay"
        ) from error
    return done


# ---- writing ---------------------------------------------------------------------------------------------------------


def _add(archive: tarfile.TarFile, folder: Path, stage: Stage) -> None:
    try:
        record, missing = check(folder, stage.key), freed_of(folder)
    except DamagedStage as damage:
        raise UserError(_damaged(damage)) from damage
    head = (STAGE, RECORD, FREED) if missing else (STAGE, RECORD)
    for name in (*head, *(name for name in record["files"] if name not in missing)):
        # Neither owner nor mode nor time of a file is anybody's business elsewhere.
        member = tarfile.TarInfo(f"{folder.name}/{name}")
        with (folder / name).open("rb") as file:
            member.size = os.fstat(file.fileno()).st_size
            archive.addfile(member, file)


def _damaged(damage: DamagedStage) -> str:
    return f"{damage}. Put it aside with `dfcil-sweep store verify --set-aside`, and export again"


# ---- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Member:
    folder: str
    file: str
    bytes: int


class _Members:
    """The members of an archive, one after the other; anything but a plain file in a stage's folder is a UserError."""

    def __init__(self, path: Path, file: BinaryIO, most_bytes: int) -> None:
        self._path, self._file, self._left, self._most = path, file, most_bytes, most_bytes
        self._unread = self._padding = 0
        self._ahead: _Member | None = None

    def wrong(self, what: str) -> UserError:
        """A UserError that says where in the archive we are."""
        place = f"{self._path}, byte {self._file.tell()}"
        return UserError(f"{place}: {what}. This is no archive of `dfcil-sweep store export`, or it was altered")

    def next(self) -> _Member | None:
        """The next member, the content of the one before having been read; None at the end."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            return ahead
        self._exactly(self._padding)
        self._padding = 0
        header = self._exactly(_BLOCK)
        if not header.strip(b"\0"):
            return None
        try:
            info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError) as error:
            raise self.wrong(f"no tar header ({error})") from error
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise self.wrong(f"member {info.name!r} is not a plain file (type {info.type!r})")
        folder, _, file = info.name.partition("/")
        if not _FOLDER.fullmatch(folder) or not _FILE.fullmatch(file) or len(folder) > 200:
            raise self.wrong(f"member {info.name!r} is not called like a file of a stage")
        if info.size < 0 or info.size > self._left:
            raise self.wrong(f"member {info.name!r} would bring the import above {self._most} bytes (--most-gib, disk)")
        self._left -= info.size
        self._unread, self._padding = info.size, -info.size % _BLOCK
        return _Member(folder, file, info.size)

    def peek(self) -> _Member | None:
        """The member that `next` is going to give."""
        self._ahead = self.next()
        return self._ahead

    def content(self) -> Iterator[bytes]:
        """The bytes of the member given last, in pieces."""
        while self._unread:
            piece = self._exactly(min(_CHUNK, self._unread))
            self._unread -= len(piece)
            yield piece

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise self.wrong("the file ends too early")
        return data


def _load_stage(store: Store, members: _Members, member: _Member, done: Imported) -> None:
    """Bring in the stage that begins with this member."""
    folder = member.folder
    stage = _stage(members, _json(members, member, folder, STAGE), folder)
    record = _record(members, members.next(), stage)
    freed = _freed(members, folder, record)
    left = {name: told for name, told in record["files"].items() if name not in freed}
    if store.whole(stage) or (freed and store.has(stage)):
        _read_files(members, folder, left, None)
        done.present.append(folder)
        return
    try:
        lease = store.leases.acquire(stage.key)
    except Held:
        _read_files(members, folder, left, None)
        done.held.append(folder)
        return
    with lease:
        work = store.work(stage, lease)
        try:
            _read_files(members, folder, left, work)
            store.commit(stage, work, record, lease, freed)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    done.added.append(folder)


def _freed(members: _Members, folder: str, record: dict[str, Any]) -> dict[str, Any]:
    """Those of the record's files that the stage was freed of before it was exported."""
    ahead = members.peek()
    if ahead is None or (ahead.folder, ahead.file) != (folder, FREED):
        return {}
    names = _json(members, members.next(), folder, FREED, list)
    if not names or any(not isinstance(name, str) or name not in record["files"] for name in names):
        raise members.wrong(f"{folder}/{FREED} should list files of the record")
    return {name: record["files"][name] for name in names}


def _bytes(members: _Members, member: _Member | None, folder: str, name: str) -> bytes:
    if member is None or (member.folder, member.file) != (folder, name):
        raise members.wrong(f"{folder}/{name} should be here")
    if member.bytes > MOST_RECORD:
        raise members.wrong(f"{folder}/{name} is of {member.bytes} bytes")
    return b"".join(members.content())


def _json(members: _Members, member: _Member | None, folder: str, name: str, kind: type = dict) -> Any:
    content = _bytes(members, member, folder, name)
    try:
        value = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise members.wrong(f"{folder}/{name} is no JSON: {error}") from error
    if not isinstance(value, kind):
        raise members.wrong(f"{folder}/{name} is no JSON {'object' if kind is dict else 'list'}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _stage(members: _Members, payload: dict[str, Any], folder: str) -> Stage:
    try:
        stage = Stage(Recipe.from_json(payload))
        name, whole = stage.folder, json.loads(json.dumps(stage.recipe.to_json())) == payload
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise members.wrong(f"{folder}/{STAGE} is no recipe ({error})") from error
    if name != folder or not whole:
        raise members.wrong(f"{folder}/{STAGE} is not the recipe that the folder is named after")
    return stage


def _read_files(members: _Members, folder: str, files: dict[str, Any], into: Path | None) -> None:
    """Read these files of a record, check them, and write them `into` an empty folder, if one is given."""
    for name, told in files.items():
        member = members.next()
        if member != _Member(folder, name, told["bytes"]):
            raise members.wrong(f"{folder}/{name} of {told['bytes']} bytes should be here")
        digest = hashlib.sha256()
        with Path(os.devnull).open("wb") if into is None else (into / name).open("xb") as file:
            for piece in members.content():
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != told["sha256"]:
            raise members.wrong(f"{folder}/{name} does not have the SHA-256 of its record")


def _record(members: _Members, member: _Member | None, stage: Stage) -> dict[str, Any]:
    """The record of the stage. Raises UserError unless it is one that reading the store can rely upon."""
    place = f"{stage.folder}/{RECORD}"
    try:
        record = record_file.loads(_bytes(members, member, stage.folder, RECORD), stage.recipe)
    except record_file.Unsound as error:
        raise members.wrong(f"{place}: {error}") from error
    if record["key"] != stage.key or record["folder"] != stage.folder:
        raise members.wrong(f"{place}: it is of another stage")
    if not _plain(record):
        raise members.wrong(f"{place}: a text holds control characters")
    for name in record["files"]:
        if not _FILE.fullmatch(name) or name in (STAGE, RECORD, FREED):
            raise members.wrong(f"{place}: {name!r} is no file of a stage")
    return record


def _plain(value: Any) -> bool:
    """Whether no text in it could steer a terminal."""
    if isinstance(value, str):
        return all(sign.isprintable() or sign in "\n\t" for sign in value)
    if isinstance(value, dict):
        return all(_plain(name) and _plain(below) for name, below in value.items())
    return all(map(_plain, value)) if isinstance(value, list) else True
