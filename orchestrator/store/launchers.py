"""Which launchers are at work on a sweep.

    runs/sweeps/<name>/launches/                   each one's lease, and who asks it to stop (process.py)
    runs/sweeps/<name>/launches/launch-<id>.json   how many stages it runs at a time, and which jobs, if not all

Files, because whoever looks may sit at another machine of the same file system.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.errors import UserError
from orchestrator.store.lease import LEASE_TIMEOUT, Leases
from orchestrator.store.our_files import Count, read
from orchestrator.store.process import Process, processes, remove_dead, stopping_when_asked

LAUNCHES = "launches"


@dataclass(frozen=True)
class _Told:
    """The content of a launcher's file."""

    workers: Count = 1
    jobs: tuple[str, ...] | None = None


_TOLD = TypeAdapter(_Told)


@dataclass(frozen=True)
class Launcher(Process):
    """A launcher that is not known to be dead."""

    workers: int
    """Stages that it runs at a time."""
    jobs: frozenset[str] | None
    """Names of the jobs that it was told to run; None: all of the sweep."""

    def runs(self, job: str) -> bool:
        """Whether it runs the job of that name."""
        return self.jobs is None or job in self.jobs


def living(folder: Path) -> list[Launcher]:
    """The launchers at work on the sweep in this folder, the oldest first. Writes nothing."""
    launches = folder / LAUNCHES
    found = []
    for each in processes(launches):
        told = _told(launches / f"launch-{each.id}.json")
        jobs = None if told.jobs is None else frozenset(told.jobs)
        found.append(Launcher(each.id, each.holder, launches, told.workers, jobs))
    return found


@contextmanager
def announced(
    folder: Path, workers: int, jobs: Sequence[str] | None = None, lease_timeout: float = LEASE_TIMEOUT
) -> Iterator[None]:
    """Be seen as a launcher of the sweep in this folder, and stop when asked to.

    `jobs` are the names of those that it runs; None: all of the sweep.
    """
    launches = folder / LAUNCHES
    launches.mkdir(parents=True, exist_ok=True)
    for killed in remove_dead(launches):
        (launches / f"launch-{killed}.json").unlink(missing_ok=True)
    identity = uuid.uuid4().hex[:16]
    told = launches / f"launch-{identity}.json"
    told.write_text(json.dumps({"workers": workers, "jobs": jobs}))
    with stopping_when_asked(launches, identity), Leases(launches, lease_timeout).acquire(identity):
        try:
            yield
        finally:
            told.unlink(missing_ok=True)


def _told(path: Path) -> _Told:
    try:
        return read(path, _TOLD, "It is ignored")
    except (FileNotFoundError, UserError):
        return _Told()  # it is just beginning, or just ending
