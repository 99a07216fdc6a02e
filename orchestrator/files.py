"""Writing a file whole or not at all: whoever looks finds the old one or the new one, also after a crash.

And reading one: that a file is not there is an answer, that it cannot be read is none.
"""

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.errors import UserError

NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)
"""What the system says where there is no such file, or none that is a file."""
_REMEDIES = {
    errno.EACCES: "Whoever owns it can let you: chmod -R g+rX on the folder, and umask 002 before the next launch",
    errno.EPERM: "Whoever owns it can let you",
    errno.EMFILE: "This process has too many files open: raise the limit (ulimit -n), or use fewer --jobs",
    errno.ENFILE: "This machine has too many files open: try again later",
    errno.EIO: "Its disk or its file server failed: try again, and look at the system's log where that does not help",
    errno.ESTALE: "Its file server has lost it from sight: try again, or have the file system mounted anew",
    errno.EROFS: "Its file system takes no writing: choose another folder (--runs), or have it mounted so that it does",
    errno.ENOSPC: "Its disk is full: make room, and try again",
    errno.EDQUOT: "Your share of its disk is full: make room, and try again",
}


class Unreadable(UserError):
    """A file or folder that is there, or may be there, cannot be read. That says nothing of what is in it."""

    def __init__(self, path: Path | str, error: OSError) -> None:
        self.path, self.reason = Path(path), error.strerror or str(error)
        super().__init__(f"{path}: cannot be read: {self.reason}. {_remedy(error)}")


def not_ours(error: OSError) -> str | None:
    """What to tell a person of an error of the system's that names a file; None for one that is a fault of ours."""
    if error.errno not in _REMEDIES or error.filename is None:
        return None
    return f"{error.filename}: {error.strerror}. {_remedy(error)}"


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, "Try again, and see what its file system says")


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """What is read within is of `path`. Raises OSError (of `NOT_THERE`) where it is not there, Unreadable else."""
    try:
        yield
    except OSError as error:
        if error.errno in NOT_THERE:
            raise
        raise Unreadable(error.filename or path, error) from error


def there(path: Path) -> bool:
    """Whether there is something of that name. Raises Unreadable where that cannot be told."""
    with reading(path):
        return path.exists()


def listing(folder: Path) -> list[str]:
    """The names in a folder; none where there is no folder. Raises Unreadable."""
    try:
        with reading(folder):
            return os.listdir(folder)
    except OSError:
        return []


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A new file to write in; at the end it takes the place of `path`, and after an exception it is gone.

    It lies beside `path` under a hidden name of its own, has the mode that the umask gives, and is forced to the disk,
    its name too. Without `sync` it is not: a crash of the machine may leave it empty or cut short.
    """
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        with draft.open("xb") as file:
            yield file
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_to_disk(path.parent)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write a text file in UTF-8."""
    with replacing(path, sync=sync) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any, *, indent: int | None = None, end: str = "", sync: bool = True) -> None:
    """Write a JSON file, with `end` after the value. Raises ValueError for NaN and infinities, which JSON has not."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + end, sync=sync)


def create_private(path: Path, content: bytes) -> None:
    """A new file that only its owner can read, from its first moment on. Raises FileExistsError where there is one."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        file.write(content)


def sync_to_disk(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
