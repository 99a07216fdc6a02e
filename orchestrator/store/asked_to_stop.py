"""Asking a launcher or a tuner to stop, from any machine of the same file system.

<folder>/.lease-<id>.json   its heartbeat: a lease like that on a stage
<folder>/cancel-<id>        somebody asks it to stop
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.signals import terminable
from orchestrator.store.lease import Holder, Leases

_LOOK_SECONDS = 0.3  # between looks whether somebody asks


@dataclass(frozen=True)
class Process:
    """A launcher or a tuner that is not known to be dead."""

    id: str
    holder: Holder
    folder: Path
    """Where its lease lies."""

    def __str__(self) -> str:
        return str(self.holder)

    def silence(self) -> float:
        """Seconds since its last heartbeat, by the file's time and our clock: for people, never for a decision."""
        return Leases(self.folder).silence(self.id)

    def ask_to_stop(self) -> None:
        """Ask it to stop as Ctrl-C would; it answers within a second, wherever it runs."""
        request(self.folder, self.id).touch()

    def gone(self) -> bool:
        """Whether it has ended."""
        holder = Leases(self.folder).read(self.id)
        return holder is None or holder.token != self.holder.token or holder.dead()


def request(folder: Path, identity: str) -> Path:
    """The file that asks whoever has the lease of that name to stop."""
    return folder / f"cancel-{identity}"


@contextmanager
def stopping_when_asked(folder: Path, identity: str) -> Iterator[None]:
    """Stop when asked to, which is not asked any more at the end.

    Being asked, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, as Ctrl-C does.
    """
    asked, over = request(folder, identity), threading.Event()
    listener = threading.Thread(target=_listen, args=(asked, over), name="cancel", daemon=True)
    with terminable():
        listener.start()
        try:
            yield
        finally:
            over.set()
            listener.join()
            asked.unlink(missing_ok=True)


def _listen(asked: Path, over: threading.Event) -> None:
    while not over.wait(_LOOK_SECONDS):
        if asked.exists():
            os.kill(os.getpid(), signal.SIGTERM)
            return
