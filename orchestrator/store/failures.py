"""The jobs of a sweep that failed last time: `runs/sweeps/<name>/failed.json`.

The one file of a sweep beside the store that cannot be made anew: the store holds finished stages alone.
"""

import time
from pathlib import Path
from typing import Any

from orchestrator.files import read_json, write_json
from orchestrator.store.sweep_folder import sweep_folder


class Failures:
    """What failed in a sweep, by job.

    Job id to {"error", "traceback", "time" (unix seconds), "stage" (the key of the one that failed), "log" (its path)}.
    """

    def __init__(self, runs: Path, sweep: str) -> None:
        self.path = sweep_folder(runs, sweep) / "failed.json"
        self.jobs: dict[str, dict[str, Any]] = read_json(self.path)

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
