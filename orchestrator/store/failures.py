"""The jobs of a sweep that failed last time: `runs/sweeps/<name>/failed.json`.

The one file of a sweep beside the store that cannot be made anew: the store holds finished stages alone.
"""

import time
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from orchestrator.store.our_files import read_or, write_json
from orchestrator.store.sweep_folder import sweep_folder


class _Failure(TypedDict):
    error: str
    traceback: str
    time: float
    stage: str
    log: str


FAILED = TypeAdapter(dict[str, _Failure])


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The failures in a file; none, with a warning, where it is damaged."""
    happens = "Which jobs failed is not known; the next launch starts them again"
    return cast(dict[str, dict[str, Any]], read_or(path, FAILED, {}, happens))


class Failures:
    """What failed in a sweep, by job.

    Job id to {"error", "traceback", "time" (unix seconds), "stage" (the key of the one that failed), "log" (its path)}.
    """

    def __init__(self, runs: Path, sweep: str) -> None:
        self.path = sweep_folder(runs, sweep) / "failed.json"
        self.jobs = _read(self.path)

    def add(self, job: str, error: str, traceback: str, stage: str = "", log: str = "") -> dict[str, Any]:
        """Note a failure."""
        self.jobs[job] = {"error": error, "traceback": traceback, "time": time.time(), "stage": stage, "log": log}
        self._save()
        return self.jobs[job]

    def mended(self, job: str) -> None:
        """Note that a job that had failed is finished now."""
        if self.jobs.pop(job, None):
            self._save()

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, self.jobs, indent=1)
