"""A runs folder that was moved or copied, with MLflow's sqlite file in it.

MLflow keeps where artifacts lie as absolute addresses: an experiment's, each run's, each model's. In a folder that was
moved, new ones would go where it was; in a copy, into the original, whose files they would overwrite. So before our own
file is written, its addresses are compared with where it lies.

A folder at the old place with the same `runs/id` means a copy: that gets an id of its own, for `runs/id` is how our
runs are found in a tracking store, and drops what it remembers of the original's deliveries elsewhere.
"""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from orchestrator.files import write_text
from orchestrator.tracking.describe import RUNS
from orchestrator.tracking.uri import ARTIFACTS, DATABASE

_PLACES = (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"))
_TAGS = ("tags",)
_LOCKED = 5  # seconds to wait for a locked file, as MLflow does: a launch waits for us at its end


def settle(runs: Path) -> bool:
    """Have the runs folder's own sqlite file, if there is one, say where its artifacts lie now. Whether it is a copy.

    Nothing is changed where that is right already. Raises OSError where the file, or the folder at the old place,
    cannot be read or written.
    """
    here = runs.resolve()
    if not lies_elsewhere(here):
        return False
    database = here / DATABASE
    with FileLock(database.with_name(f".{DATABASE}.lock")), _transaction(database, write=True) as connection:
        # Looked at again under the lock: another process may have been first.
        copied = False
        for old in list(_elsewhere(connection, here)):
            copied |= _correct(connection, old, here)
    return copied


def lies_elsewhere(runs: Path) -> bool:
    """Whether the runs folder's own sqlite file, if there is one, says that artifacts of ours lie in another folder.

    Raises OSError as `settle` does.
    """
    here = runs.resolve()
    if not (here / DATABASE).is_file():
        return False
    with _transaction(here / DATABASE, write=False) as connection:
        return any(True for _ in _elsewhere(connection, here))


def _elsewhere(connection: sqlite3.Connection, here: Path) -> Iterator[Path]:
    """The runs folders, other than this one, whose artifacts our experiments say to have.

    Ours are those with a run of ours, or with none at all; another one's artifacts a person may have put anywhere.
    """
    runs = "select 1 from runs r where r.experiment_id = e.experiment_id"
    ours = f"{runs} and exists (select 1 from tags t where t.run_uuid = r.run_uuid and t.key = ?)"
    query = f"select distinct artifact_location from experiments e where exists ({ours}) or not exists ({runs})"
    for (location,) in connection.execute(query, (RUNS,)).fetchall():
        parts = urlsplit(location or "")
        folder = Path(unquote(parts.path))
        if parts.scheme != "file" or folder.name != ARTIFACTS or folder.parent == here:
            continue
        if not _same(folder.parent, here):
            yield folder.parent


def _same(old: Path, here: Path) -> bool:
    """Whether that is another way to this very folder, such as a mount: then the addresses are right."""
    try:
        return os.path.samefile(old, here)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _correct(connection: sqlite3.Connection, old: Path, here: Path) -> bool:
    """Correct the addresses below a runs folder's old place; whether that is still there, and this is its copy."""
    before, now = ((folder / ARTIFACTS).as_uri() for folder in (old, here))
    for table, column in _PLACES:
        if _has(connection, table):
            below = f"{column} = ? or substr({column}, 1, ?) = ?"
            told = (now, len(before) + 1, before, len(before) + 1, f"{before}/")
            connection.execute(f"update {table} set {column} = ? || substr({column}, ?) where {below}", told)
    theirs, mine = _id(old), _id(here)
    if theirs is None:
        return False
    copied = mine == theirs
    if copied:
        mine = uuid.uuid4().hex
        _forget(here)
        write_text(here / "id", f"{mine}\n")
    if mine is not None:  # also where a copy that was killed right here had its new id already
        for table in _TAGS:
            if _has(connection, table):
                connection.execute(f"update {table} set value = ? where key = ? and value = ?", (mine, RUNS, theirs))
    return copied


def _id(runs: Path) -> str | None:
    try:
        return (runs / "id").read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _forget(here: Path) -> None:
    """Which runs of which tracking store were delivered to: those are the original's."""
    for path in here.glob("sweeps/*/delivered-*.json"):
        path.unlink(missing_ok=True)


def _has(connection: sqlite3.Connection, table: str) -> bool:
    query = "select 1 from sqlite_master where type = 'table' and name = ?"
    return connection.execute(query, (table,)).fetchone() is not None


@contextmanager
def _transaction(database: Path, write: bool) -> Iterator[sqlite3.Connection]:
    """All within is written together, or after an exception not at all; sqlite's errors become OSErrors."""
    address = f"{database.as_uri()}?mode=rw"  # a file that we may only read, sqlite opens for reading so, too
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_LOCKED, isolation_level=None)) as connection:
            connection.execute("begin immediate" if write else "begin")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")
    except sqlite3.Error as error:
        raise OSError(f"{database}: {error}") from error
