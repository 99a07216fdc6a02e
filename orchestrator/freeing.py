"""Freeing checkpoints as a sweep goes on: what no unfinished stage needs any more gives its disk space back.

Of a freed stage the record, the test logits, the pictures and the memory stay: all that tables, figures and MLflow are
made from. Its networks and generators go. Kept are those that a later sweep is likely to begin from, the first task's,
and every job's last network. A freed stage that is needed after all is computed again, and compared with its record.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from orchestrator.plan import Plan
from orchestrator.schedule import Schedule
from orchestrator.stage import Stage
from orchestrator.store import Store
from orchestrator.sweep_folder import JOBS

_KEPT = ("logits.safetensors", "memory.safetensors")


class Freeing:
    """Frees what a launch has done with. Knows the launch's schedule, and the other sweeps of the runs folder."""

    def __init__(self, plan: Plan, store: Store, work: Schedule) -> None:
        self._stages, self._store, self._work = plan.stages, store, work
        self._last = {job.learn[-1] for job in plan.jobs}
        self._others = _Others(store, plan.spec.name)
        self.count = self.bytes = 0
        """What was freed so far: stages, and bytes."""

    def after(self, stage: Stage) -> None:
        """A stage has been computed: free those of its parents that it was the last to need."""
        for key in stage.parents:
            parent = self._stages[key]
            if parent.recipe.kind == "remember" or parent.recipe.task == 1 or key in self._last:
                continue
            if not self._work.awaited(key) and not self._others.need(key):
                freed = self._store.free(parent, _checkpoints)
                self.count += freed > 0
                self.bytes += freed


def wanted_again(stages: Mapping[str, Stage], done: Collection[str], whole: Callable[[Stage], bool]) -> set[str]:
    """Keys of finished stages that were freed and have a child to be computed, directly or by way of such a stage.

    `stages` parents before children; `done` the keys of those that are finished.
    """
    again: set[str] = set()
    for key in reversed(stages):
        if key in done and key not in again:
            continue
        for parent in stages[key].parents:
            if parent in done and parent in stages and not whole(stages[parent]):
                again.add(parent)
    return again


def _checkpoints(files: Iterable[str]) -> list[str]:
    return [name for name in files if name.endswith(".safetensors") and name not in _KEPT]


class _Others:
    """What the other sweeps of a runs folder need, by the stages that each of their jobs was launched with."""

    def __init__(self, store: Store, own: str) -> None:
        self._store, self._own = store, own
        self._read: dict[Path, tuple[int, list[list[str]]]] = {}

    def need(self, key: str) -> bool:
        """Whether one of their jobs ends with the stage, or has it and is not finished."""
        jobs = [stages for path in self._files() for stages in self._jobs(path) if key in stages]
        if not jobs:
            return False
        present = {name[-16:] for name in self._store.names()}
        return any(stages[-1] == key or any(each[:16] not in present for each in stages) for stages in jobs)

    def _files(self) -> list[Path]:
        # Looked at each time: another sweep may have been launched since.
        return [path for path in (self._store.runs / "sweeps").glob(f"*/{JOBS}") if path.parent.name != self._own]

    def _jobs(self, path: Path) -> list[list[str]]:
        changed = path.stat().st_mtime_ns
        if self._read.get(path, (None,))[0] != changed:
            self._read[path] = changed, list(json.loads(path.read_text()).values())
        return self._read[path][1]
