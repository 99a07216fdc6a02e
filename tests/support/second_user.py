"""Doing something as a user who is nobody here."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.clustered import need_root

NOBODY = 65534


def become_nobody() -> None:
    """Go on as a user and a group that own nothing, for good."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def as_nobody(do: Callable[[], str]) -> str:
    """What `do` returns in a child process of that user's; it should have imported before all that it needs.

    The interpreter itself may lie where nobody else can read. Skips where this user is not root.
    """
    need_root()
    answer, end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(answer)
            become_nobody()
            with open(end, "w") as told:
                told.write(do())
            status = 0
        finally:
            os._exit(status)
    os.close(end)
    with open(answer) as told:
        text = told.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return text


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder whose parents everybody can pass: pytest's are for their owner alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def give_to_nobody(path: Path) -> None:
    """Have that user own a file or a folder."""
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
