"""Which launchers are at work on a sweep, and asking them to stop.

    runs/sweeps/<name>/launches/.lease-<id>.json   its heartbeat: a lease like that on a stage
    runs/sweeps/<name>/launches/launch-<id>.json   how many stages it runs at a time, and which jobs, if not all
    runs/sweeps/<name>/launches/cancel-<id>        somebody asks it to stop

Files, because whoever asks may sit at another machine of the same file system.
"""

import json
import os
import signal
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import UserError
from orchestrator.signals import terminable
from orchestrator.store.lease import LEASE_TIMEOUT, Holder, Leases
from orchestrator.store.our_files import Count, read

LAUNCHES = "launches"
_LOOK_SECONDS = 0.3  # between looks whether somebody asks us to stop


@dataclass(frozen=True)
class _Told:
    """The content of a launcher's file."""

    workers: Count = 1
    jobs: tuple[str, ...] | None = None


_TOLD = TypeAdapter(_Told)


@dataclass(frozen=True)
class Launcher:
    """A launcher that is not known to be dead."""

    id: str
    holder: Holder
    workers: int
    """Stages that it runs at a time."""
    jobs: frozenset[str] | None
    """Names of the jobs that it was told to run; None: all of the sweep."""
    folder: Path

    def __str__(self) -> str:
        return str(self.holder)

    def runs(self, job: str) -> bool:
        """Whether it runs the job of that name."""
        return self.jobs is None or job in self.jobs

    def ask_to_stop(self) -> None:
        """Ask it to stop as Ctrl-C would; it answers within a second, wherever it runs."""
        (self.folder / f"cancel-{self.id}").touch()

    def gone(self) -> bool:
        """Whether it has ended."""
        holder = Leases(self.folder).read(self.id)
        return holder is None or holder.token != self.holder.token or holder.dead()


def living(folder: Path) -> list[Launcher]:
    """The launchers at work on the sweep in this folder, the oldest first. Writes nothing."""
    launches = folder / LAUNCHES
    found = []
    for identity, holder in Leases(launches).holders().items():
        if not holder.dead():
            told = _told(launches / f"launch-{identity}.json")
            jobs = None if told.jobs is None else frozenset(told.jobs)
            found.append(Launcher(identity, holder, told.workers, jobs, launches))
    return sorted(found, key=lambda launcher: launcher.holder.since)


@contextmanager
def announced(
    folder: Path, workers: int, jobs: Sequence[str] | None = None, lease_timeout: float = LEASE_TIMEOUT
) -> Iterator[None]:
    """Be seen as a launcher of the sweep in this folder, and stop when asked to.

    `jobs` are the names of those that it runs; None: all of the sweep.

    Being asked, SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread, as Ctrl-C does.
    """
    launches = folder / LAUNCHES
    launches.mkdir(parents=True, exist_ok=True)
    _remove_dead(launches)
    identity = uuid.uuid4().hex[:16]
    told, asked, over = launches / f"launch-{identity}.json", launches / f"cancel-{identity}", threading.Event()
    told.write_text(json.dumps({"workers": workers, "jobs": jobs}))
    watcher = threading.Thread(target=_listen, args=(asked, over), name="cancel", daemon=True)
    with terminable(), Leases(launches, lease_timeout).acquire(identity):
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            for path in (told, asked):
                path.unlink(missing_ok=True)


def _listen(asked: Path, over: threading.Event) -> None:
    while not over.wait(_LOOK_SECONDS):
        if asked.exists():
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _told(path: Path) -> _Told:
    try:
        return read(path, _TOLD, "It is ignored")
    except (FileNotFoundError, UserError):
        return _Told()  # it is just beginning, or just ending


def _remove_dead(launches: Path) -> None:
    """What killed launchers left."""
    for identity, holder in Leases(launches).holders().items():
        if holder.dead():
            for name in (f".lease-{identity}.json", f"launch-{identity}.json", f"cancel-{identity}"):
                (launches / name).unlink(missing_ok=True)
