"""Frees checkpoints as a sweep goes on: what no unfinished stage needs any more gives its disk space back.

Of a freed stage the record, the test logits, the pictures and the memory stay: all that tables, figures and MLflow are
made from. Its networks and generators go. Kept are those that a later sweep is likely to begin from, the first task's,
and every job's last network. A freed stage that is needed after all is computed again, and compared with its record.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from dfcil_core.artifacts import KEPT, TENSORS
from orchestrator.engine.schedule import Schedule
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.store.our_files import Nonsense, ignored, read
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import JOBS, LAUNCHED


class CheckpointGC:
    """Garbage collection: frees what a launch has done with.

    Knows the launch's schedule, and the other sweeps of the runs folder.
    """

    def __init__(self, plan: Plan, store: Store, work: Schedule) -> None:
        self._stages, self._store, self._work = plan.stages, store, work
        self._last = {job.learn[-1] for job in plan.jobs}
        self._others = _Others(store, {job.stages for job in plan.jobs})
        self._candidates: dict[str, Stage] = {}
        self.count = self.bytes = 0
        """What was freed so far: stages, and bytes."""

    def after(self, stage: Stage) -> None:
        """A stage has been finished, here or elsewhere: free those of its parents that it was the last to need."""
        for key in stage.parents:
            parent = self._stages[key]
            if parent.recipe.kind != "remember" and parent.recipe.task > 1 and key not in self._last:
                self._candidates[key] = parent
                self._free_unless_needed(key)

    def finish(self) -> None:
        """The launch is over: free what others needed when it was looked at last, and need no more."""
        for key in list(self._candidates):
            self._free_unless_needed(key)

    def _free_unless_needed(self, key: str) -> None:
        if self._work.awaited(key) or self._others.need(key):
            return
        freed = self._store.free(self._candidates.pop(key), _checkpoints)
        self.count += freed > 0
        self.bytes += freed


def wanted_again(stages: Mapping[str, Stage], done: Collection[str], whole: Callable[[Stage], bool]) -> set[str]:
    """Keys of finished stages that were freed and have a child to be computed, directly or by way of such a stage.

    `stages` parents before children; `done` the keys of those that are finished.
    """
    again: set[str] = set()
    for key in reversed(list(stages)):
        if key in done and key not in again:
            continue
        for parent in stages[key].parents:
            if parent in done and parent in stages and not whole(stages[parent]):
                again.add(parent)
    return again


def _checkpoints(files: Iterable[str]) -> list[str]:
    return [name for name in files if name.endswith(TENSORS) and name not in KEPT]


class _Others:
    """What other jobs of a runs folder need, by the stages that each was launched with.

    By their stages and not by their sweep's name: somebody may have launched another spec under ours meanwhile.
    """

    def __init__(self, store: Store, own: Collection[tuple[str, ...]]) -> None:
        self._store, self._own = store, own
        self._read: dict[Path, tuple[int, list[tuple[str, ...]]]] = {}

    def need(self, key: str) -> bool:
        """Whether one of their jobs ends with the stage, or has it and is not finished."""
        # The files are looked for each time: another sweep may have been launched since.
        files = list((self._store.runs / "sweeps").glob(f"*/{JOBS}"))
        try:
            jobs = [stages for path in files for stages in self._jobs(path) if key in stages]
        except Nonsense as damage:
            ignored(str(damage))
            return True  # what its sweep needs is not known
        if not jobs:
            return False
        present = {name[-16:] for name in self._store.names()}
        return any(stages[-1] == key or any(each[:16] not in present for each in stages) for stages in jobs)

    def _jobs(self, path: Path) -> list[tuple[str, ...]]:
        try:
            changed = path.stat().st_mtime_ns
            if self._read.get(path, (None,))[0] != changed:
                jobs = read(path, LAUNCHED, "Until its sweep is launched again no checkpoint is freed").values()
                self._read[path] = changed, [stages for stages in jobs if stages not in self._own]
        except FileNotFoundError:  # a person has just removed the sweep
            return []
        return self._read[path][1]
