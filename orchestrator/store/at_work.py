"""Who is at work in a runs folder: launchers on its sweeps, tuners on its studies, workers on its stages."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import UserError
from orchestrator.files import listing
from orchestrator.store.launchers import LAUNCHES
from orchestrator.store.lease import LEASE_TIMEOUT, Watch
from orchestrator.store.process import Process, processes
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import sweep_folder

TUNING, TUNERS, LEAD = "tuning", "tuners", "lead"
"""Tuners have their leases in `runs/tuning/<study>/tuners/`; who speaks for all of them has a second one."""
CLUSTER = ".cluster-"
"""How the folder in the runs folder begins that a launch on a cluster has for itself, and takes with it."""
_SILENT_SECONDS = LEASE_TIMEOUT
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class _Seen:
    process: Process
    work: str
    """On what it is, for people."""


def require_nobody_at_work(runs: Path, sweeps: Iterable[str], say: Callable[[str], None]) -> None:
    """Raise UserError while anybody is at work in the runs folder, on one of these sweeps or on anything else.

    Nobody can see from here whether a process on another machine lives: its next heartbeat is waited for, as long as a
    lease lasts at most, and `say` is told so.
    """
    watch, told = Watch(_SILENT_SECONDS), False
    left = list(_seen(runs, sweeps))
    while left := [each for each in left if _may_be_alive(each, watch, runs)]:
        if not told:
            told = True
            hosts = ", ".join(sorted({each.process.holder.host for each in left}))
            say(f"looking up to {_SILENT_SECONDS:.0f} seconds for a sign of life from {hosts}")
        time.sleep(_LOOK_SECONDS)


def _may_be_alive(seen: _Seen, watch: Watch, runs: Path) -> bool:
    """Whether it is still to be seen that the holder is gone. Raises UserError where it is alive."""
    process, holder = seen.process, seen.process.now()
    if holder is None or holder.dead() or watch.is_stale(f"{process.folder}/{process.id}", holder):
        return False
    if holder.here() or holder != process.holder:
        raise UserError(
            f"{holder} is at work on {seen.work} in {runs}: wait until it has ended, or stop it first "
            "(`dfcil-sweep cancel`)"
        )
    return True


def _seen(runs: Path, sweeps: Iterable[str]) -> Iterator[_Seen]:
    for folder, work in _places(runs, sweeps):
        for process in processes(folder):
            yield _Seen(process, work)


def _places(runs: Path, sweeps: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Where leases lie, and what they are on."""
    for name in sweeps:
        yield sweep_folder(runs, name) / LAUNCHES, f"'{name}'"
    for study in sorted(listing(runs / TUNING)):
        yield runs / TUNING / study / TUNERS, f"the study '{study}'"
    yield Store(runs).stages, "a stage"
