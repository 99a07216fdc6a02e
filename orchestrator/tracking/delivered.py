"""What this machine remembers of a sweep's deliveries, so that a relaunch asks and sends nothing twice.

All of it may be lost without harm.
"""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from orchestrator.store.our_files import Count, Nonsense, ignored, read_or, read_text, write_json, write_text
from orchestrator.store.sweep_folder import sweep_folder

# A delivery writes the whole file: with thousands of jobs not more often than this, in seconds.
_PAUSE = 2.0
_TRACKING = "tracking.json"
_ID = re.compile("[0-9a-f]{32}")


class _Child(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    run: str
    stages: Count
    state: NotRequired[str | None]


class _Known(TypedDict, total=False):
    parent: str | None
    experiment: str | None
    shown: str | None
    jobs: dict[str, _Child]


_DELIVERED = TypeAdapter(_Known)
_TOLD = TypeAdapter(dict[str, str])


def _kept(path: Path) -> dict[str, str]:
    return read_or(path, _TOLD, {}, "Unless --experiment says otherwise, the experiment is that of the sweep's name")


def runs_id(runs: Path, known: Callable[[bool], str | None] = lambda damaged: None) -> str:
    """The name of this runs folder in a tracking store that several people share; made up on first use.

    It stays with the folder when that moves, and is the same for all machines that mount it. Where the file is lost
    (`known` is called with False) or damaged (with True), `known` may say what the tracking store has of it.
    """
    path = runs / "id"
    damaged = False
    for _ in range(2):  # the second time it is ours, or that of a process that was quicker
        try:
            told = read_text(path).strip()
            if _ID.fullmatch(told):
                return told
            reason = "it is no name of a runs folder"
        except FileNotFoundError:
            reason = ""
        except Nonsense as damage:
            reason = damage.reason
        damaged = bool(reason)
        found = known(damaged)
        name = found if found and _ID.fullmatch(found) else uuid.uuid4().hex
        if damaged:
            what = "as the tracking store has it" if name == found else "with a new name: its runs are sent anew"
            ignored(f"{path} is damaged: {reason}. It is written again, {what}")
            write_text(path, name + "\n")
        else:
            _write_new(path, name + "\n")
    return read_text(path).strip()


def _write_new(path: Path, text: str) -> None:
    """Write a file unless there is one: another process may be first, and then its text stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".id-{uuid.uuid4().hex}")
    draft.write_text(text)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def experiment_name(runs: Path, sweep: str, given: str | None) -> str:
    """Where a sweep's runs go: `given`, else MLFLOW_EXPERIMENT_NAME, else as the last time, else the sweep's name."""
    kept = _kept(sweep_folder(runs, sweep) / _TRACKING).get("experiment")
    return given or os.environ.get("MLFLOW_EXPERIMENT_NAME") or kept or sweep


def keep_experiment(runs: Path, sweep: str, name: str) -> None:
    """Remember where the sweep's runs go: the commands that look for them are not told again."""
    path = sweep_folder(runs, sweep) / _TRACKING
    if _kept(path).get("experiment", sweep) != name:
        _write(path, {"experiment": name})


class Delivered:
    """Which runs a sweep has in one tracking store, and how much of each job is there."""

    def __init__(self, runs: Path, sweep: str, uri: str, experiment: str) -> None:
        # Only a hash of the address is kept: the address may hold a password.
        address = hashlib.sha256(f"{uri}\n{experiment}".encode()).hexdigest()[:16]
        self.path = sweep_folder(runs, sweep) / f"delivered-{address}.json"
        self.lock = sweep_folder(runs, sweep) / f"delivered-{address}.lock"
        self._saved = 0.0
        known = read_or(self.path, _DELIVERED, _Known(), "The tracking store itself is asked, and it is written anew")
        self.parent: str | None = known.get("parent")
        self.experiment: str | None = known.get("experiment")
        """Its id: the address of a run's page names it."""
        self.shown: str | None = known.get("shown")
        """Fingerprint of the tables and the comparison that the parent run has."""
        self.jobs = cast(dict[str, dict[str, Any]], known.get("jobs", {}))
        """Job id to {"run": id, "stages": how many are delivered, "state": the run's}."""

    def forget(self) -> None:
        """Drop everything: the tracking store turned out not to have it."""
        self.parent, self.shown, self.jobs = None, None, {}

    def _known(self) -> dict[str, Any]:
        return {"parent": self.parent, "experiment": self.experiment, "shown": self.shown, "jobs": self.jobs}

    def save(self, now: bool = False) -> None:
        """Write the file, at most once in a while unless told `now`."""
        if now or time.monotonic() - self._saved > _PAUSE:
            with suppress(OSError):  # a full disk: what is not remembered is asked of the tracking store
                _write(self.path, self._known())
            self._saved = time.monotonic()


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value, indent=1)
