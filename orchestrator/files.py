"""Writing a file whole or not at all: whoever looks finds the old one or the new one, also after a crash."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file, or one that is no JSON object."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def sync_to_disk(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
