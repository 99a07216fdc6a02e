"""The plan of a plug-in's sweep that was launched before plans were written down: from its stages' own recipes.

`jobs.json` names the jobs and the keys of their stages, and each finished stage has its recipe in its folder. So a job
is known when all of its stages are finished; the others are left out, with a note that says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from dfcil_core.config import Dreaming, Recipe, Training
from dfcil_core.data.catalog import DATASETS
from orchestrator.plan.plan import Plan
from orchestrator.store import recorded_plan
from orchestrator.store.stage_folder import DamagedStage, read_stage
from orchestrator.store.store import Store
from orchestrator.text import counted

_JOB = re.compile(r"(?P<label>.+) · (?P<tasks>\d+) tasks?( \((?P<split>.+)\))? · seed (?P<seed>-?\d+)")


@dataclass(frozen=True)
class _Known:
    """A job all of whose stages are finished."""

    label: str
    split: str
    sizes: tuple[int, ...]
    seed: int
    stages: tuple[str, ...]
    recipes: tuple[Recipe, ...]

    @property
    def last(self) -> Recipe:
        """Of the last task that it learns."""
        return [recipe for recipe in self.recipes if recipe.kind == "learn"][-1]

    @property
    def order(self) -> tuple[int, ...]:
        """The labels in the order they are learnt."""
        return sum(self.last.classes, ())


def plan_from_stages(
    runs: Path,
    path: Path,
    name: str,
    device: str,
    launched: Mapping[str, Sequence[str]],
    dataset: Mapping[str, Any] | None,
    text: str,
    overrides: tuple[str, ...],
    rehearsed: bool,
) -> Plan:
    """The plan of the jobs `launched` (name to keys) that are finished; `path` is jobs.json, for messages.

    Raises Nonsense where their recipes do not fit together.
    """
    recipes = _recipes(Store(runs), {key for keys in launched.values() for key in keys})
    known = [job for job in (_known(title, keys, recipes) for title, keys in launched.items()) if job]
    told = _told(known, dataset)
    told |= {"name": name, "device": device}
    note = f"{name} is read without its plug-in, from its finished stages"
    if len(known) < len(launched):
        note += f"; left out: {counted(len(launched) - len(known), 'job')} not finished"
    note += ". Launched again with --plugin, it is written down in full"
    made = recorded_plan.validated(told, path)
    return recorded_plan.from_told(made, path, text, overrides, rehearsed, (note,))


def _recipes(store: Store, keys: set[str]) -> dict[str, Recipe]:
    """Key of each of these stages that is finished to its recipe."""
    folders = {folder[-16:]: folder for folder in store.names() if not folder.startswith(".")}
    found = {}
    for key in keys:
        if key[:16] in folders:
            try:
                found[key] = read_stage(store.stages / folders[key[:16]]).recipe
            except DamagedStage:
                continue  # as if it were not there: `store verify` tells
    return found


def _known(title: str, keys: Sequence[str], recipes: Mapping[str, Recipe]) -> _Known | None:
    said = _JOB.fullmatch(title)
    found = tuple(recipes[key] for key in keys if key in recipes)
    if said is None or len(found) < len(keys) or not any(recipe.kind == "learn" for recipe in found):
        return None
    job = _Known(said["label"], said["split"] or said["tasks"], (), int(said["seed"]), tuple(keys), found)
    return replace(job, sizes=_sizes(job.split, int(said["tasks"]), job.last))


def _sizes(split: str, tasks: int, last: Recipe) -> tuple[int, ...]:
    """Classes of each task. Where all were learnt as one, the label tells: `5`, or `50+10`."""
    if len(last.classes) == tasks:
        return tuple(map(len, last.classes))
    first, plus, then = split.partition("+")
    if plus and first.isdecimal() and then.isdecimal():
        return int(first), *(int(then) for _ in range(tasks - 1))
    return tuple(last.width // tasks for _ in range(tasks))


def _told(known: Sequence[_Known], dataset: Mapping[str, Any] | None) -> dict[str, Any]:
    entries = {job.label: job for job in reversed(known)}
    splits = {(job.split, job.sizes): None for job in known}
    stages = {key: recipe for job in known for key, recipe in zip(job.stages, job.recipes, strict=True)}
    first = known[0].last.data if known else None
    return {
        "dataset": dataset or (_dataset(known[0].last) if known else asdict(DATASETS["synthetic"])),
        "image_size": first.image_size if first else 32,
        "holdout": first.holdout if first else 0.0,
        "methods": [_entry(job) for job in entries.values()],
        "splits": [{"sizes": sizes, "label": label} for label, sizes in splits],
        "orders": {job.seed: job.order for job in known},
        "jobs": [
            {
                "entry": list(entries).index(job.label),
                "split": list(splits).index((job.split, job.sizes)),
                "seed": job.seed,
                "learn": _learn(job),
                "stages": job.stages,
            }
            for job in known
        ],
        "stages": stages,
        "unshared": sum(len(job.stages) for job in known),
    }


def _dataset(recipe: Recipe) -> dict[str, Any]:
    info = DATASETS.get(recipe.data.name, DATASETS["synthetic"])
    return asdict(replace(info, classes=recipe.width, options=recipe.data.options, digest=recipe.data.digest))


def _learn(job: _Known) -> list[str | None]:
    """Key of `learn` for each task, known by how many classes it has seen."""
    by_seen = {
        sum(map(len, recipe.classes)): key
        for key, recipe in zip(job.stages, job.recipes, strict=True)
        if recipe.kind == "learn"
    }
    return [by_seen.get(seen) for seen in accumulate(job.sizes)]


def _entry(job: _Known) -> dict[str, Any]:
    recipe, kinds = job.last, {each.kind for each in job.recipes}
    told = {field.name for field in fields(Training)}
    dream = next((each.settings for each in job.recipes if each.kind == "dream"), {})
    return {
        "label": job.label,
        "method": {
            "name": recipe.method,
            "group": "memory" if "remember" in kinds else "data-free",
            "dreams": "dream" in kinds,
            "settings": {name: value for name, value in recipe.settings.items() if name != "quirks"},
        },
        "training": {name: value for name, value in recipe.training.items() if name in told},
        "dreaming": {field.name: dream[field.name] for field in fields(Dreaming) if field.name in dream},
        "memory": next((each.settings["memory"] for each in job.recipes if each.kind == "remember"), 0),
        "quirks": recipe.settings.get("quirks", "none"),
        "plugin": recipe.plugin,
    }
