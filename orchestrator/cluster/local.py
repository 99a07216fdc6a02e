"""A Dask cluster on this machine: worker processes of one thread each."""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from distributed import Client, Nanny, Scheduler
from distributed.deploy.spec import SpecCluster

from orchestrator.cluster.base import CLOSE_SECONDS, closing_last_first, connect
from orchestrator.cluster.certificate import certified
from orchestrator.cluster.device import visible_devices
from orchestrator.cluster.environment import ONE_THREAD
from orchestrator.cluster.scratch import leave_import_path, scratch
from orchestrator.signals import interrupts_deferred

_LOCAL = "127.0.0.1"


def environments(device: str, workers: int, per_gpu: int, gpus: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The environment of each worker: one thread, and one CUDA device, taken in turn.

    At most `workers` of them, and on CUDA at most `per_gpu` a device, of `gpus` or of all that may be used.
    """
    if device == "cpu":
        return [dict(ONE_THREAD) for _ in range(workers)]
    devices = visible_devices() if gpus is None else gpus
    slots = min(workers, per_gpu * len(devices))
    return [{**ONE_THREAD, "CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} for slot in range(slots)]


@contextmanager
def local_client(environments: list[dict[str, str]]) -> Iterator[Client]:
    """A client of a new cluster on this machine with a worker for each of `environments`.

    The workers come up while the caller goes on. At the end, however it comes, they are killed: whoever leaves early
    wants them gone, and whoever leaves late has left them idle.
    """
    with closing_last_first() as closing:
        with interrupts_deferred():
            folder = closing.enter_context(scratch())
            cluster = _Local(environments, folder)
            closing.callback(cluster.close, timeout=CLOSE_SECONDS)
            client = connect(cluster, closing)
            closing.callback(cluster.kill_workers)
            closing.callback(leave_import_path, folder)
            cluster.scale(len(environments))  # type: ignore[no-untyped-call]  # not annotated by Dask
        yield client


class _Local(SpecCluster):
    """Nannies on the loopback interface, each with a worker process of its own environment. None until scaled.

    Every user of this machine reaches that interface: they talk to whoever has the key in `folder`, and to nobody else.
    """

    def __init__(self, environments: list[dict[str, str]], folder: Path) -> None:
        self._environments = environments
        security = certified(folder)
        # The HTTP servers cannot be left out; by our settings they have nothing to serve.
        common = {
            "host": _LOCAL,
            "protocol": "tls://",
            "security": security,
            "local_directory": str(folder),
            "dashboard": False,
            "dashboard_address": f"{_LOCAL}:0",
        }
        self._worker = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, **common}
        super().__init__(  # type: ignore[no-untyped-call]  # not annotated by Dask
            scheduler={"cls": Scheduler, "options": {"port": 0, **common}},
            worker={"cls": Nanny, "options": self._worker},
            security=security,
            silence_logs=logging.CRITICAL,
        )
        # Ctrl-C in a terminal reaches the workers too, and it is for the launcher alone to answer it: they inherit the
        # signals blocked from the thread that starts them. The resource tracker is started first because its start
        # would unblock them again.
        resource_tracker.ensure_running()
        self.sync(_block_interrupts)  # type: ignore[no-untyped-call]  # not annotated by Dask

    def new_worker_spec(self) -> dict[Any, dict[str, Any]]:
        number = len(self.worker_spec)
        return {number: {"cls": Nanny, "options": {**self._worker, "env": self._environments[number]}}}

    def kill_workers(self) -> None:
        """End the worker processes at once, those included that are just coming up, and start no others."""
        self.sync(self._kill_workers)  # type: ignore[no-untyped-call]  # not annotated by Dask

    async def _kill_workers(self) -> None:
        for nanny in list(self._created):
            pid = nanny.pid
            nanny.close_gracefully()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


async def _block_interrupts() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
