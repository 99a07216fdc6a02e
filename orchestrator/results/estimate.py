"""How long stages will take, by those like them that the store has.

A stage's work is counted in images (`work.py`). Seconds an image are the mean over finished stages that are most like
it: of its own method where it has any, else of any method.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from dfcil_core.config import Recipe
from orchestrator.files import Unreadable
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import FOLDER, Stage
from orchestrator.results.work import A_CLASS, FURTHER, Like, alike, cost, images, images_a_class
from orchestrator.store.stage_folder import DamagedStage, read_stage
from orchestrator.store.store import Store

_SAMPLE = 20  # other sweeps' stages that are looked at, of each data set, kind and method


class Rates:
    """Seconds an image, of what has been seen."""

    def __init__(self, a_class: float = A_CLASS) -> None:
        """`a_class`: training images of a class, for a data set of which a recipe does not tell how many it has."""
        self._a_class = a_class
        self._stages: dict[str, Stage] = {}
        self._seen: dict[Like, list[float]] = {}
        """Seconds, images, and about how much an image costs."""
        self._rates: dict[Like, float | None] = {}
        """Seconds an image, of what was asked for since the last was seen."""

    @classmethod
    def of(cls, plan: Plan, records: Mapping[str, Mapping[str, Any]], store: Store | None = None) -> "Rates":
        """By a plan's own records; with a store by a sample of other sweeps' stages too."""
        rates = cls(images_a_class(plan.spec.dataset.info))
        rates.know(plan.stages, records)
        if store is not None:
            own = {plan.stages[key].folder for key in records}
            rates._add_others(store, {stage.recipe.data.name for stage in plan.stages.values()}, own)
        return rates

    def know(self, stages: Mapping[str, Stage], records: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Take in stages by key, and what those took that have a record.

        A stage's old images are as many as the recipe of the stage says that chose them: whoever asks for the one has
        given the other.
        """
        self._stages.update(stages)
        for key, record in (records or {}).items():
            self.add(stages[key].recipe, record["seconds"])

    def add(self, recipe: Recipe, seconds: float) -> None:
        """Note what a finished stage took."""
        like, work = alike(recipe), self._images(recipe)
        seen = self._seen.get(like)
        if seen is None:
            seen = self._seen[like] = [0.0, 0.0, cost(recipe)]
        seen[0] += seconds
        seen[1] += work
        self._rates.clear()

    def __contains__(self, like: Like) -> bool:
        """Whether a stage has been seen that is `alike` to others in this."""
        return like in self._seen

    def seconds(self, stage: Stage) -> float | None:
        """The estimate for a stage; None where nothing like it has been seen."""
        recipe = stage.recipe
        like = alike(recipe)
        if like not in self._rates:
            self._rates[like] = self._rate(like)
        rate = self._rates[like]
        return None if rate is None else rate * self._images(recipe)

    def weight(self, stage: Stage) -> float:
        """The estimate for a stage; where nothing like it has been seen, a guess, good for comparing stages alone."""
        seconds = self.seconds(stage)
        if seconds is not None:
            return seconds
        plain = sum(images * cost for _, images, cost in self._seen.values())
        rate = sum(seconds for seconds, _, _ in self._seen.values()) / plain if plain else 1.0
        return rate * cost(stage.recipe) * self._images(stage.recipe)

    def total(self, stages: Iterable[Stage]) -> float | None:
        """The estimate for all of `stages` one after the other; None where one of them has none."""
        total = 0.0
        for stage in stages:
            seconds = self.seconds(stage)
            if seconds is None:
                return None
            total += seconds
        return total

    def _rate(self, like: Like) -> float | None:
        for shared in (like[: len(like) - left_out] for left_out in range(FURTHER + 1)):
            near = [seen for other, seen in self._seen.items() if other[: len(shared)] == shared]
            if near:
                return sum(seconds for seconds, _, _ in near) / sum(images for _, images, _ in near)
        return None

    def _images(self, recipe: Recipe) -> float:
        chosen = self._stages.get(recipe.parents["memory"]) if "memory" in recipe.parents else None
        return images(recipe, chosen.recipe if chosen else None, self._a_class)

    def _add_others(self, store: Store, data_sets: set[str], own: set[str]) -> None:
        names = sorted(name for name in store.names() if not name.startswith("."))
        folders = {name[-16:]: store.stages / name for name in names}
        left: dict[tuple[str, ...], int] = defaultdict(lambda: _SAMPLE)
        for name in names:
            sort = FOLDER.fullmatch(name)
            if name in own or sort is None or sort["data"] not in data_sets or not left[sort.groups()]:
                continue
            left[sort.groups()] -= 1
            try:
                stage = read_stage(store.stages / name)
                record = store.record(stage)
                if record is None:
                    continue
                memory = stage.recipe.parents.get("memory")
                if memory and memory not in self._stages:
                    self._stages[memory] = read_stage(folders[memory[:16]])
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
