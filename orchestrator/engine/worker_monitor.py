"""Which workers are there, asked now and then: who came or went without a message, and whether there is any at all."""

import time
from collections.abc import Callable, Mapping

EVERY_SECONDS = 5.0  # of silence, after which the workers are counted
_NO_WORKER_SECONDS = 300.0  # without any worker of this machine, after which none is to be expected
_AWAITED_SECONDS = 30.0  # without any worker of another one, after which a person wants to know


class WorkerMonitor:
    """Counts the workers of a Dask client.

    `workers` gives their addresses to their threads; `queued`: whether they come when others have them come, be it in
    hours.
    """

    def __init__(self, workers: Callable[[], Mapping[str, int]], queued: bool) -> None:
        self._workers, self._queued = workers, queued
        self._missed: set[str] = set()
        self._last_present = self._counted = time.monotonic()
        self._announced = False

    def due(self) -> bool:
        """Whether the last count is old."""
        return time.monotonic() - self._counted >= EVERY_SECONDS

    def check(self, known: set[str]) -> tuple[set[str], set[str]]:
        """The addresses of all workers, and of those among `known` that are gone.

        Raises RuntimeError where none has come up on this machine for long.
        """
        present = set(self._workers())
        self._counted = time.monotonic()
        # The message that says how a worker went may be on its way: only who is missed twice went unnoticed.
        missing = known - present
        gone = missing & self._missed
        self._missed = missing - gone
        if present:
            self._last_present, self._announced = self._counted, False
        elif not self._queued and self._counted - self._last_present > _NO_WORKER_SECONDS:
            raise RuntimeError(f"no worker process has come up for {_NO_WORKER_SECONDS:.0f} seconds")
        return present, gone

    def awaited(self) -> float | None:
        """For how many seconds workers have been awaited, where that is worth a word; the word is given once."""
        absent = self._counted - self._last_present
        if not self._queued or self._announced or absent <= _AWAITED_SECONDS:
            return None
        self._announced = True
        return absent
