"""A folder of a launch's own in the temporary directory, which every user of the machine can write in.

Dask keeps files and sockets' keys there, and takes modules from it. So it has a name that nobody can know before, is
for its owner alone, and is locked for as long as the launch lives: the lock goes with the process, however that ends,
and whoever gets it knows that the folder's launch is over.
"""

import fcntl
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ONLY_A_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def scratch() -> Iterator[Path]:
    """A new folder of mode 0700, removed at the end; first, those that killed launches of this user left.

    Raises OSError where the temporary directory cannot be written in.
    """
    temporary = Path(tempfile.gettempdir())
    _remove_left(temporary)
    folder, handle = _locked(temporary)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def leave_import_path(folder: Path) -> None:
    """Take Dask's folders below `folder` off the import path, which it put them on, before it does so itself.

    Its servers shorten the list as they close: a thread that looks along it for a module meanwhile misses an entry, and
    finds nothing of what lies there. Here the list is replaced, and that thread goes on along the old one.
    """
    sys.path = [entry for entry in sys.path if not str(entry).startswith(f"{folder}{os.sep}")]


def _prefix() -> str:
    return f"dfcil-sweep-{os.getuid()}-"


def _locked(temporary: Path) -> tuple[Path, int]:
    """A new folder, and the open handle that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(), dir=temporary))
        handle = os.open(folder, _ONLY_A_FOLDER)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another launch, between the two lines, took it for one that was left
            os.close(handle)
            continue
        except OSError:  # a file system without locks on folders: nobody will take it for one that was left
            return folder, handle
        if _is_at(folder, handle):
            return folder, handle
        os.close(handle)  # it was removed between the two lines


def _is_at(folder: Path, handle: int) -> bool:
    try:
        return os.path.samestat(folder.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_left(temporary: Path) -> None:
    """Remove the folders of launches that are over. Links are not followed, and what is another user's stays."""
    for folder in temporary.glob(f"{_prefix()}*"):
        try:
            handle = os.open(folder, _ONLY_A_FOLDER)
        except OSError:  # no folder, a link, gone meanwhile, or not for us to read
            continue
        try:
            told = os.fstat(handle)
            if told.st_uid != os.getuid() or stat.S_IMODE(told.st_mode) != 0o700:
                continue
            with suppress(OSError):  # held by a launch that lives
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
