"""Who has a lease in a folder, and asking them to stop, from any machine of the same file system.

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
    """One that is not known to be dead: a launcher, a tuner, or a worker on a stage."""

    id: str
    """The name of its lease."""
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

    def now(self) -> Holder | None:
        """Who has its lease by now."""
        return Leases(self.folder).read(self.id)

    def gone(self) -> bool:
        """Whether it has ended."""
        holder = self.now()
        return holder is None or holder.token != self.holder.token or holder.dead()


def processes(folder: Path) -> list[Process]:
    """Those that have a lease in the folder, the oldest first. Writes nothing."""
    living = {key: holder for key, holder in Leases(folder).holders().items() if not holder.dead()}
    return sorted((Process(key, holder, folder) for key, holder in living.items()), key=lambda each: each.holder.since)


def remove_dead(folder: Path) -> list[str]:
    """Remove what killed processes left of their leases, and of requests to them; the leases' names."""
    leases = Leases(folder)
    dead = [key for key, holder in leases.holders().items() if holder.dead()]
    for key in dead:
        leases.path(key).unlink(missing_ok=True)
        request(folder, key).unlink(missing_ok=True)
    return dead


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
