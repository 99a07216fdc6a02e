"""How long stages will take, by those like them that the store has.

A stage's work is counted in units: epochs times new classes for `learn`, steps for `dream`, one for `remember`. Seconds
a unit are the mean over finished stages of the same method, network, data set, image size and device kind; where that
method has none, over those of any method.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from dfcil_core.config import Recipe
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from orchestrator.files import Unreadable
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import FOLDER, Stage
from orchestrator.store.stage_folder import DamagedStage, read_stage
from orchestrator.store.store import Store

_DREAMED, _DISTILLED = 7.0, 1.3  # times what a step of plain learning takes: with dreamed images, with a teacher
_SAMPLE = 20  # other sweeps' stages that are looked at, of each data set, kind and method


_Like = tuple[str | int | None, ...]  # what stages have in common whose units of work take alike


class Rates:
    """Seconds a unit of work, of what has been seen."""

    def __init__(self) -> None:
        self._seen: dict[_Like, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._all = [0.0, 0.0]

    @classmethod
    def of(cls, plan: Plan, records: Mapping[str, Mapping[str, Any]], store: Store | None = None) -> "Rates":
        """By a plan's own records; with a store by a sample of other sweeps' stages too."""
        rates = cls()
        for key, record in records.items():
            rates.add(plan.stages[key].recipe, record["seconds"])
        if store is not None:
            own = {plan.stages[key].folder for key in records}
            rates._add_others(store, {stage.recipe.data.name for stage in plan.stages.values()}, own)
        return rates

    def add(self, recipe: Recipe, seconds: float) -> None:
        """Note what a finished stage took."""
        self._all[0] += seconds
        self._all[1] += _guess(recipe)
        for like in _likes(recipe):
            seen = self._seen[like]
            seen[0] += seconds
            seen[1] += _units(recipe)

    def seconds(self, stage: Stage) -> float | None:
        """The estimate for a stage; None where nothing like it has been seen."""
        for like in _likes(stage.recipe):
            if like in self._seen:
                seconds, units = self._seen[like]
                return seconds / units * _units(stage.recipe)
        return None

    def weight(self, stage: Stage) -> float:
        """The estimate for a stage; where nothing like it has been seen, a guess, good for comparing stages alone."""
        seconds = self.seconds(stage)
        if seconds is not None:
            return seconds
        return _guess(stage.recipe) * (self._all[0] / self._all[1] if self._all[1] else 1.0)

    def total(self, stages: Iterable[Stage]) -> float | None:
        """The estimate for all of `stages` one after the other; None where one of them has none."""
        total = 0.0
        for stage in stages:
            seconds = self.seconds(stage)
            if seconds is None:
                return None
            total += seconds
        return total

    def _add_others(self, store: Store, data_sets: set[str], own: set[str]) -> None:
        left: dict[tuple[str, ...], int] = defaultdict(lambda: _SAMPLE)
        for name in sorted(name for name in store.names() if not name.startswith(".")):
            sort = FOLDER.fullmatch(name)
            if name in own or sort is None or sort["data"] not in data_sets or not left[sort.groups()]:
                continue
            left[sort.groups()] -= 1
            try:
                stage = read_stage(store.stages / name)
                record = store.record(stage)
                if record is not None:
                    self.add(stage.recipe, float(record["seconds"]))
            except (DamagedStage, Unreadable, ValueError, KeyError, TypeError):
                continue  # `store verify` tells of it; an estimate does without it


def time_left(plan: Plan, left: set[str], rates: Rates, workers: int, spent: Mapping[str, float]) -> float | None:
    """Seconds until the stages `left` are done by so many workers; None where nothing like one of them has been seen.

    Never less than the longest chain. `spent`: key of a running stage to the seconds it has run.
    """
    work = 0.0
    ends: dict[str, float] = {}
    for key, stage in plan.stages.items():  # parents first
        if key not in left:
            continue
        seconds = rates.seconds(stage)
        if seconds is None:
            return None
        seconds = max(0.0, seconds - spent.get(key, 0.0))
        work += seconds
        ends[key] = seconds + max((ends.get(parent, 0.0) for parent in stage.parents), default=0.0)
    return max(work / workers, max(ends.values(), default=0.0))


def _likes(recipe: Recipe) -> tuple[_Like, _Like]:
    general = (recipe.kind, recipe.data.name, recipe.data.image_size, recipe.training.get("backbone"), recipe.device)
    return (*general, recipe.method), general


def _guess(recipe: Recipe) -> float:
    """About how long a stage takes, in epochs of plain learning of one class."""
    if recipe.kind == "learn":
        own = METHODS.get(recipe.method, Method).step_cost
        return (
            own * _units(recipe) * (_DREAMED if "generator" in recipe.parents else _DISTILLED if recipe.parents else 1)
        )
    return 5.0 * _units(recipe)  # a step of dreaming is as long as five classes of 100 images: docs/performance.md


def _units(recipe: Recipe) -> float:
    if recipe.kind == "learn":
        return float(max(1, recipe.training.get("epochs", 1) * len(recipe.classes[-1])))
    if recipe.kind == "dream":
        return float(max(1, recipe.settings.get("steps", 1)))
    return 1.0
