"""What is derived from a data set once and for all on this machine: digests, decoded images.

It can be deleted at any time. It lies in `$XDG_CACHE_HOME/dfcil-sweep`, by default `~/.cache/dfcil-sweep`;
`DFCIL_CACHE` names another folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """The folder, made if it is not there."""
    given = os.environ.get("DFCIL_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(given).expanduser() if given else Path(base).expanduser() / "dfcil-sweep"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached_text(key: str, make: Callable[[], str]) -> str:
    """The text made for this key before, or made now."""
    path = cached_file(key, lambda new: new.write_text(make()))
    return path.read_text()


def cached_bytes(key: str, make: Callable[[], bytes]) -> bytes:
    """The bytes made for this key before, or made now. Kept with their SHA-256: what was damaged since is made anew."""

    def write(path: Path) -> None:
        made = make()
        path.write_bytes(hashlib.sha256(made).digest() + made)

    for _ in range(2):
        path = cached_file(key, write)
        kept = path.read_bytes()
        digest, content = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
        path.unlink(missing_ok=True)
    return make()


def cached_file(key: str, make: Callable[[Path], object]) -> Path:
    """The file made for this key before; else `make` writes it, by one process at a time, whole or not at all."""
    from filelock import FileLock

    path = cache_folder() / hashlib.sha256(key.encode()).hexdigest()[:32]
    if path.exists():
        return path
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
                new = Path(folder) / "new"
                make(new)
                os.replace(new, path)
    return path
