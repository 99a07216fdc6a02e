"""The Dask cluster that stages run on: by default one-thread worker processes on this machine.

Importing this module loads Dask; only the engine does, and only when there is work.
"""

import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, Nanny, Scheduler
from distributed.deploy.spec import SpecCluster

from orchestrator.cluster.device import visible_devices

_LOCAL = "127.0.0.1"
CLOSE_SECONDS = 10
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
    # Training frees and takes the same megabytes at every step. Dask's default has the allocator give them back to the
    # system each time: an abd chain of the demo took 60 s so, and 42 s without (one worker, twice each, in turn).
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    # Asking the driver from every worker would make a CUDA context in each.
    "distributed.diagnostics.nvml": False,
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


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


def default_workers(device: str, per_gpu: int = 1) -> int:
    """How many workers to use where nobody says: one a processor that we may use, or `per_gpu` a CUDA device."""
    return CPU_COUNT if device == "cpu" else per_gpu * len(visible_devices())


def environments(device: str, workers: int, per_gpu: int) -> list[dict[str, str]]:
    """The environment of each worker: one thread, and one CUDA device, taken in turn.

    At most `workers` of them, and on CUDA at most `per_gpu` a device.
    """
    if device == "cpu":
        return [dict(ONE_THREAD) for _ in range(workers)]
    devices = visible_devices()
    slots = min(workers, per_gpu * len(devices))
    return [{**ONE_THREAD, "CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} for slot in range(slots)]


@contextmanager
def local_client(environments: list[dict[str, str]]) -> Iterator[Client]:
    """A client of a new cluster on this machine with a worker for each of `environments`.

    The workers come up while the caller goes on. At the end, however it comes, they are killed: whoever leaves early
    wants them gone, and whoever leaves late has left them idle.
    """
    with closing_last_first() as closing:
        scratch = tempfile.mkdtemp(prefix="dfcil-sweep-")
        closing.callback(shutil.rmtree, scratch, ignore_errors=True)
        with interrupts_deferred():
            cluster = _Local(environments, scratch)
            closing.callback(cluster.close, timeout=CLOSE_SECONDS)
            client = Client(cluster, set_as_default=False)
            closing.callback(client.close, timeout=CLOSE_SECONDS)
            closing.callback(cluster.kill_workers)
            cluster.scale(len(environments))
        yield client


class _Local(SpecCluster):
    """Nannies on the loopback interface, each with a worker process of its own environment. None until scaled."""

    def __init__(self, environments: list[dict[str, str]], scratch: str) -> None:
        self._environments = environments
        # The HTTP servers cannot be left out; without the dashboard they serve only their health, and to this machine.
        http = {"dashboard": False, "dashboard_address": f"{_LOCAL}:0"}
        self._worker = {
            "host": _LOCAL,
            "nthreads": 1,
            "memory_limit": 0,
            "local_directory": scratch,
            "silence_logs": logging.CRITICAL,
            **http,
        }
        super().__init__(
            scheduler={"cls": Scheduler, "options": {"host": _LOCAL, "port": 0, **http}},
            worker={"cls": Nanny, "options": self._worker},
            silence_logs=logging.CRITICAL,
        )
        # Ctrl-C in a terminal reaches the workers too, and it is for the launcher alone to answer it: they inherit the
        # signals blocked from the thread that starts them. The resource tracker is started first because its start
        # would unblock them again.
        resource_tracker.ensure_running()
        self.sync(_block_interrupts)

    def new_worker_spec(self) -> dict[Any, dict[str, Any]]:
        number = len(self.worker_spec)
        return {number: {"cls": Nanny, "options": {**self._worker, "env": self._environments[number]}}}

    def kill_workers(self) -> None:
        """End the worker processes at once, those included that are just coming up, and start no others."""
        self.sync(self._kill_workers)

    async def _kill_workers(self) -> None:
        for nanny in list(self._created):
            pid = nanny.pid
            nanny.close_gracefully()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def _block_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


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


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the moment that opening or closing takes: half done, both leave a mess."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, frame: waiting.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if waiting:
        signal.raise_signal(waiting[0])
