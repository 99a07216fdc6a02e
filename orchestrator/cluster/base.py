"""What all ways to workers share: Dask's settings, the client, and opening and closing so that nothing stays behind.

Importing this module loads Dask; only the engine does, and only when there is work.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from orchestrator.cluster.environment import KEEPS_MEMORY
from orchestrator.signals import interrupts_deferred
from orchestrator.store.at_work import CLUSTER

CLOSE_SECONDS = 10
_REMOVALS, _REMOVAL_SECONDS = 20, 0.1
SETTINGS = {
    # A stage whose worker dies is taken back and counted by the engine, never by the scheduler.
    "distributed.scheduler.allowed-failures": 1_000_000,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Training may hold the interpreter for long: neither the scheduler nor the cluster may take that for death.
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.deploy.lost-worker-timeout": "10 minutes",
    "distributed.scheduler.no-workers-timeout": "10 minutes",
    "distributed.admin.tick.limit": "1 hour",
    # Each of them listens for HTTP too, without asking who calls: it tells nothing, of stages, addresses or files.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    # What Dask remembers of messages and tasks long gone: thousands of each by default, of some kilobytes each here.
    "distributed.admin.log-length": 10,
    "distributed.admin.low-level-log-length": 10,
    "distributed.diagnostics.computations.max-history": 10,
    **{f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in KEEPS_MEMORY.items()},
    # Asking the driver from every worker would make a CUDA context in each.
    "distributed.diagnostics.nvml": False,
}


@dataclass(frozen=True)
class Workers:
    """The workers of a launch, and the way to them."""

    client: Client
    probe: Path | None = None
    """A folder that every worker must see where we see it; None for workers on this machine."""
    look_after: Callable[[], None] = lambda: None
    """To be called every few seconds, between events: sees to it that workers that have ended are replaced."""
    queued: bool = False
    """Whether workers come when a batch system or a person has them come, be it in hours."""


def connect(cluster: Any, closing: ExitStack, **options: Any) -> Client:
    """A client of a cluster, or of the scheduler at an address, that is closed with `closing`.

    `options` are the client's. Raises as it does: OSError where nobody answers, ValueError for bad certificates.
    """
    client = Client(cluster, set_as_default=False, **options)  # type: ignore[no-untyped-call]  # not annotated by Dask
    closing.callback(client.close, timeout=CLOSE_SECONDS)
    return client


@contextmanager
def shared_folder_probe(runs: Path) -> Iterator[Path]:
    """A folder that only we have made, for the workers to prove that they see the same runs folder."""
    folder = Path(tempfile.mkdtemp(prefix=CLUSTER, dir=runs)).absolute()
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder in which jobs that were cancelled leave their marks meanwhile.

    It gets another name first, under which no job looks for it: only one that had just found it can still write there.
    What is left after some attempts, `store prune` removes.
    """
    try:
        going = folder.rename(folder.with_name(f"{folder.name}-over"))
    except FileNotFoundError:  # somebody has cleared up
        return
    for _ in range(_REMOVALS):
        shutil.rmtree(going, ignore_errors=True)
        if not going.exists():
            return
        time.sleep(_REMOVAL_SECONDS)


@contextmanager
def closing_last_first() -> Iterator[ExitStack]:
    """Our settings of Dask, and its log off the terminal; at the end, however it comes, what the stack was given."""
    with _quiet(), dask.config.set(SETTINGS):
        closing = ExitStack()
        try:
            yield closing
        finally:
            with interrupts_deferred():
                closing.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal: what it has to say of dying workers, the engine says in its own words."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
