"""What this machine remembers of a sweep's deliveries, so that a relaunch asks and sends nothing twice.

All of it may be lost without harm but for one thing: `failed.json` is the only place where a failure is kept, since
the store holds finished stages alone.
"""

import hashlib
import json
import os
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

# A delivery writes the whole file: with thousands of jobs not more often than this, in seconds.
_PAUSE = 2.0
_TRACKING = "tracking.json"


def sweep_folder(runs: Path, sweep: str) -> Path:
    """Where a sweep's own files lie in the runs folder."""
    return runs / "sweeps" / sweep


def runs_id(runs: Path) -> str:
    """The name of this runs folder in a tracking store that several people share; made up on first use.

    It stays with the folder when that moves, and is the same for all machines that mount it.
    """
    path = runs / "id"
    if not path.exists():
        runs.mkdir(parents=True, exist_ok=True)
        draft = runs / f".id-{uuid.uuid4().hex}"
        draft.write_text(uuid.uuid4().hex + "\n")
        with suppress(FileExistsError):  # another process was first: its name is the folder's
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


def experiment_name(runs: Path, sweep: str, given: str | None) -> str:
    """Where a sweep's runs go: `given`, else MLFLOW_EXPERIMENT_NAME, else as the last time, else the sweep's name."""
    kept = read_json(sweep_folder(runs, sweep) / _TRACKING).get("experiment")
    return given or os.environ.get("MLFLOW_EXPERIMENT_NAME") or kept or sweep


def keep_experiment(runs: Path, sweep: str, name: str) -> None:
    """Remember where the sweep's runs go: the commands that look for them are not told again."""
    path = sweep_folder(runs, sweep) / _TRACKING
    if read_json(path).get("experiment", sweep) != name:
        write_json(path, {"experiment": name})


class Delivered:
    """Which runs a sweep has in one tracking store, and how much of each job is there."""

    def __init__(self, runs: Path, sweep: str, uri: str, experiment: str) -> None:
        # Only a hash of the address is kept: the address may hold a password.
        address = hashlib.sha256(f"{uri}\n{experiment}".encode()).hexdigest()[:16]
        self.path = sweep_folder(runs, sweep) / f"delivered-{address}.json"
        self.lock = sweep_folder(runs, sweep) / f"delivered-{address}.lock"
        self._saved = 0.0
        known = read_json(self.path)
        self.parent: str | None = known.get("parent")
        self.jobs: dict[str, dict[str, Any]] = known.get("jobs", {})
        """Job id to {"run": id, "stages": how many are delivered, "state": the run's}."""

    def forget(self) -> None:
        """Drop everything: the tracking store turned out not to have it."""
        self.parent, self.jobs = None, {}

    def save(self, now: bool = False) -> None:
        """Write the file, at most once in a while unless told `now`."""
        if now or time.monotonic() - self._saved > _PAUSE:
            write_json(self.path, {"parent": self.parent, "jobs": self.jobs})
            self._saved = time.monotonic()


class Failures:
    """The jobs of a sweep that failed last time.

    Job id to {"error", "traceback", "time" (unix seconds), "stage" (the key of the one that failed), "log" (its path)}.
    """

    def __init__(self, runs: Path, sweep: str) -> None:
        self.path = sweep_folder(runs, sweep) / "failed.json"
        self.jobs: dict[str, dict[str, Any]] = read_json(self.path)

    def add(self, job: str, error: str, traceback: str, stage: str = "", log: str = "") -> dict[str, Any]:
        """Note a failure."""
        self.jobs[job] = {"error": error, "traceback": traceback, "time": time.time(), "stage": stage, "log": log}
        write_json(self.path, self.jobs)
        return self.jobs[job]

    def mended(self, job: str) -> None:
        """Note that a job that had failed is finished now."""
        if self.jobs.pop(job, None):
            write_json(self.path, self.jobs)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file, or one that is no JSON object."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as draft:
        json.dump(value, draft, indent=1)
    os.replace(draft.name, path)
