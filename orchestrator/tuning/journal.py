"""The journal file that keeps studies by default, proof against being killed at any moment."""

from pathlib import Path

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def open_journal(path: Path) -> JournalStorage:
    """The storage in the file at `path`, made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    lock = _SystemLock(path)
    lock.acquire()
    lock.release()
    # The base class of Optuna's locks, two methods, is not one of its public names.
    backend = JournalFileBackend(str(path), lock_obj=lock)  # type: ignore[arg-type]  # it has the two methods
    return JournalStorage(backend)


class _SystemLock:
    """A lock, as Optuna takes one to write, that the operating system lets go of when its holder dies.

    Optuna's own is a file that a killed holder leaves behind: whoever comes next waits for half a minute. With the lock
    comes a file that ends with a whole line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        _drop_torn_line(self._path)
        return True

    def release(self) -> None:
        self._lock.release()


def _drop_torn_line(path: Path) -> None:
    """Take off what a killed writer wrote of a line: the next line would be glued to it, and neither could be read."""
    with path.open("rb+") as file:
        end = start = file.seek(0, 2)
        file.seek(max(0, end - 1))
        if file.read() in (b"", b"\n"):
            return
        while start > 0:
            start = max(0, end - 65536)
            file.seek(start)
            tail = file.read(end - start)
            if b"\n" in tail:
                file.truncate(start + tail.rindex(b"\n") + 1)
                return
            end = start
        file.truncate(0)
