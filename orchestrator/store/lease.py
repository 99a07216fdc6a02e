"""Leases: who is working on a stage, so that no stage is done twice at the same time.

A lease is a small file beside the stages, written anew at every heartbeat. Whoever finds it held looks on: a lease
whose content has stood still for `lease_timeout` seconds of the observer's own clock is free to be taken over.
Clocks of different machines, and the time of day, are never compared. A holder on this machine whose process is gone is
known to be dead at once.

Each acquisition has a token of its own. A holder that was thought dead and comes back finds another token in the file:
its lease is lost, and it must not commit.
"""

import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import TypeAdapter

from orchestrator.errors import UserError
from orchestrator.files import listing
from orchestrator.store.our_files import Nonsense, read, write_json
from orchestrator.text import printable

LEASE_TIMEOUT = 30.0  # seconds without a heartbeat after which a holder counts as dead
SILENT_SECONDS = 2 * LEASE_TIMEOUT  # after which people are told that a holder of another machine is silent
_BEATS = 6  # heartbeats in that time, so that a few may come late
_LOCK_SECONDS = 60.0  # the lock is held for milliseconds; longer means a broken file system


class LeaseLost(Exception):
    """Another writer has taken the stage over. What was computed here must not be committed."""


class Held(Exception):
    """The stage has a living holder."""

    def __init__(self, holder: "Holder") -> None:
        self.holder = holder
        super().__init__(f"held by {holder}")


@dataclass(frozen=True)
class Holder:
    """What the file of a lease says."""

    token: str
    """Of this acquisition alone."""
    host: str
    """Name of the machine, for people."""
    place: str
    """Where `pid` has a meaning: machine, boot and process name space."""
    pid: int
    born: str | None
    """When the process started, in the kernel's ticks: a process id alone may have been given to another one since."""
    beat: int
    """Number of heartbeats so far."""
    since: float = 0.0
    """When it was acquired, in unix seconds of the holder's clock: for people, never for a decision."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def to_json(self) -> dict[str, Any]:
        """What people may want of it, as plain data."""
        return {"host": self.host, "process": self.pid, "since": self.since}

    def here(self) -> bool:
        """Whether the holder's process is one of this machine, so that we can see whether it lives."""
        return self.place == _place()

    def dead(self) -> bool:
        """Whether the holder's process is known to be gone. False says nothing: it may be on another machine."""
        return self.here() and _gone(self.pid, self.born)


_HOLDER = TypeAdapter(Holder)


class Leases:
    """The leases on the stages of one store. `folder` must exist before a lease is acquired."""

    def __init__(self, folder: Path, lease_timeout: float = LEASE_TIMEOUT) -> None:
        self.folder, self.lease_timeout = folder, lease_timeout

    def path(self, key: str) -> Path:
        """The file of the lease on a stage."""
        return self.folder / f".lease-{key[:16]}.json"

    def holders(self) -> dict[str, Holder]:
        """The first 16 digits of each stage with a lease to its holder, dead ones included. One listing."""
        keys = [name[7:-5] for name in listing(self.folder) if name.startswith(".lease-") and name.endswith(".json")]
        found = {key: self.read(key) for key in keys}
        return {key: holder for key, holder in found.items() if holder is not None}

    def silence(self, key: str) -> float:
        """Seconds since the last heartbeat, by the file's time and our clock: for people, never for a decision."""
        try:
            return max(0.0, time.time() - self.path(key).stat().st_mtime)
        except FileNotFoundError:
            return 0.0

    def lock(self) -> FileLock:
        """The lock of the store, for the instants in which a lease is changed or relied upon.

        The operating system frees it when its holder dies.
        """
        return FileLock(self.folder / ".lock", timeout=_LOCK_SECONDS)

    def read(self, key: str) -> Holder | None:
        """The holder of a stage; None where there is none."""
        try:
            return read(self.path(key), _HOLDER, "")
        except (FileNotFoundError, Nonsense):
            # Files are put in place whole: one that is cut short has been through a crash of the machine, and with it
            # its holder.
            return None

    def acquire(self, key: str, stale: Holder | None = None) -> "Lease":
        """The lease on a stage, with its heart beating. Raises Held if it has a living holder.

        `stale` is a holder that the caller has watched in vain for a heartbeat: taken over if nothing has changed.
        """
        with self.lock():
            before = self.read(key)
            if before is not None and before != stale and not before.dead():
                raise Held(before)
            mine = Holder(
                uuid.uuid4().hex, socket.gethostname(), _place(), os.getpid(), _born(os.getpid()), 0, time.time()
            )
            self.write(key, mine)
        return Lease(self, key, mine, None if before is None else before.token)

    def write(self, key: str, holder: Holder) -> None:
        """Put the file of a lease in place, whole. Only under the lock."""
        # Not forced to the disk, at every heartbeat: a crash of the machine ends the holder with its lease, and `read`
        # takes a lease that is cut short for none.
        write_json(self.path(key), asdict(holder), sync=False)


class Lease:
    """A lease that we hold: a context manager that gives it back at the end."""

    def __init__(self, leases: Leases, key: str, holder: Holder, previous: str | None) -> None:
        self.key, self.token = key, holder.token
        self.previous = previous
        """The token of the dead holder that this lease was taken over from."""
        self.lost = False
        """Whether a heartbeat found another token in the place of ours."""
        self._leases, self._holder = leases, holder
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def require(self) -> None:
        """Raise LeaseLost unless the lease is still ours. Only under the lock, or the answer is out of date at once."""
        if not self._mine():
            self.lost = True
            raise LeaseLost(f"the lease on {self.key[:16]} was taken over")

    def held(self) -> bool:
        """Whether the lease is still ours, at this instant."""
        with self._leases.lock():
            self.lost = self.lost or not self._mine()
        return not self.lost

    def release(self) -> None:
        """Give the lease back, if it is still ours. Where that is refused, it grows stale, and a line says so."""
        self._stop.set()
        self._heart.join()
        try:
            with self._leases.lock():
                if self._mine():
                    self._leases.path(self.key).unlink()
        except (OSError, UserError) as error:
            # What was done under the lease is done: that it cannot be given back must not undo it.
            text = f"the lease on {self.key[:16]} stays until it is stale: {error}"
            print(f"warning: {printable(text)}", file=sys.stderr)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _mine(self) -> bool:
        holder = self._leases.read(self.key)
        return holder is not None and holder.token == self.token

    def _beat(self) -> None:
        while not self._stop.wait(self._leases.lease_timeout / _BEATS):
            try:
                with self._leases.lock():
                    if not self._mine():
                        self.lost = True
                        return
                    self._holder = Holder(**{**asdict(self._holder), "beat": self._holder.beat + 1})
                    self._leases.write(self.key, self._holder)
            except (OSError, UserError):
                # A full disk or a file server that is away for a moment: the next heartbeat tries again, and if the
                # lease was lost meanwhile, `require` finds out before anything is committed.
                continue


class Watch:
    """Looks on at the leases of others, and says which are stale: their hearts have stopped."""

    def __init__(self, lease_timeout: float = LEASE_TIMEOUT, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_timeout, self._clock = lease_timeout, clock
        self._seen: dict[str, tuple[Holder, float]] = {}

    def is_stale(self, key: str, holder: Holder) -> bool:
        """Whether `holder` has been seen with this very content for as long as the lease timeout."""
        now = self._clock()
        before = self._seen.get(key)
        if before is None or before[0] != holder:
            self._seen[key] = (holder, now)
            return False
        return now - before[1] >= self._lease_timeout

    def forget(self, key: str) -> None:
        """Stop watching a stage."""
        self._seen.pop(key, None)


@cache
def _place() -> str:
    """This machine, since this boot, in this process name space."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    space = Path("/proc/self/ns/pid")
    started = boot.read_text().strip() if boot.exists() else str(uuid.getnode())
    return f"{socket.gethostname()} {started} {os.readlink(space) if space.exists() else ''}"


def _born(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot; None where it is gone, or the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return None if fields[0] in "ZX" else fields[19]  # a zombie is dead, though its parent has not looked yet


def _gone(pid: int, born: str | None) -> bool:
    if born is not None:
        return _born(pid) != born
    try:
        os.kill(pid, 0)  # no /proc here: asks whether the process is there, and sends nothing
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
