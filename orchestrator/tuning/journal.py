"""The journal file that keeps studies by default, proof against being killed at any moment."""

from pathlib import Path

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def open_journal(path: Path) -> JournalStorage:
    """The storage in the file at `path`, made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _SystemLock(path)
    path.touch()
    lock.acquire()
    try:
        _drop_torn_line(path)
    finally:
        lock.release()
    # The base class of Optuna's locks, two methods, is not one of its public names.
    backend = JournalFileBackend(str(path), lock_obj=lock)  # type: ignore[arg-type]  # it has the two methods
    return JournalStorage(backend)


class _SystemLock:
    """A lock, as Optuna takes one, that the operating system lets go of when its holder dies.

    Optuna's own is a file that a killed holder leaves behind: whoever comes next waits for half a minute.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


def _drop_torn_line(path: Path) -> None:
    """Take off what a killed writer wrote of a line: the next line would be glued to it, and neither could be read."""
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        start = end
        while start > 0:
            start = max(0, end - 65536)
            file.seek(start)
            tail = file.read(end - start)
            if b"\n" in tail:
                file.truncate(start + tail.rindex(b"\n") + 1)
                return
            end = start
        file.truncate(0)
