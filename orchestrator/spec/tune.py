"""The `tune:` section: which settings of which method are searched, for what, and how."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le

from dfcil_core.config import Dreaming, Training
from orchestrator.errors import choices
from orchestrator.spec import settings
from orchestrator.spec.model import (
    OBJECTIVES,
    Choices,
    Confirm,
    MethodEntry,
    Pruner,
    Range,
    Sampler,
    Split,
    Tune,
    Value,
    settings_of,
)
from orchestrator.spec.reading import Reading
from orchestrator.spec.settings import Common, mapping, unknown
from orchestrator.spec.yaml_document import Document, KeyPath, show

_TUNE = ("tune",)
_EXAMPLE = "Write it as {low: 0.01, high: 1, log: true} or {choices: [0.1, 0.2]}"
_MOST_STEPS = 1_000_000
_MOST_POINTS = 100_000  # of a grid, which Optuna writes out
_SLACK = 1e-9  # of a step, for decimal steps that binary numbers miss


@dataclass(frozen=True)
class ConfirmForm:
    """`confirm:` written out."""

    __pydantic_config__ = {"extra": "forbid"}

    top: Annotated[int, Ge(0), Le(100)] = 3
    """How many of the best settings are run again; 0: none."""
    seeds: tuple[Annotated[int, Ge(0)], ...] | None = None
    """On which seeds, none of which any trial has seen; by default the three after the last of `seeds`."""


@dataclass(frozen=True)
class TuneForm:
    """What of `tune:` stands on its own; `method`, `space`, `objective` and `confirm` are read apart."""

    __pydantic_config__ = {"extra": "forbid"}

    trials: Annotated[int, Ge(1), Le(1_000_000)] = 50
    """Completed and pruned trials in all, the published setting included."""
    sampler: Sampler = "tpe"
    """Optuna's: how the next setting is chosen."""
    pruner: Pruner = "auto"
    """Whether a trial is stopped where it does worse than others; `none` stops none."""
    validation: Annotated[float, Gt(0), Le(0.5)] = 0.1
    """Share of each class's training images that is held out to judge trials by."""
    seed: Annotated[int, Ge(0), Le(2**32 - 1)] = 0
    """Of the sampler."""


_KEYS = ("method", "space", "trials", "objective", "sampler", "pruner", "validation", "seed", "confirm")


def read_tune(reading: Reading) -> Tune | None:
    """The section, None where there is none or it is wrong."""
    document = reading.document
    given = document.data.get("tune")
    if given is None or not mapping(document, _TUNE, given):
        return None
    return _Reader(document, given, reading.methods, reading.splits, reading.seeds).read()


@dataclass
class _Reader:
    document: Document
    given: dict[str, Any]
    entries: Sequence[MethodEntry]
    splits: Sequence[Split]
    seeds: Sequence[int]
    before: int = field(init=False)

    def read(self) -> Tune | None:
        self.before = len(self.document.problems)
        for key in self.given:
            if key not in _KEYS:
                unknown(self.document, ("tune", key), self.given[key], _KEYS)
        plain = {key: self.given[key] for key in settings.names(TuneForm) if key in self.given}
        form = TuneForm(**settings.read(self.document, _TUNE, plain, TuneForm))
        objective = self._objective()
        entry = self._entry()
        space = self._space(entry) if entry else {}
        confirm = self._confirm()
        self._check_sampler(form.sampler, objective, space)
        if form.pruner == "median" and len(objective) > 1:
            remedy = "With two objectives no trial is plainly worse. Leave it out, or write none"
            self.document.add(("tune", "pruner"), "'median' needs one objective", "median", remedy)
        self._check_tasks(objective, entry)
        if entry is None or len(self.document.problems) > self.before:
            return None
        return Tune(
            method=entry.label,
            space=space,
            trials=form.trials,
            objective=objective,
            sampler=form.sampler,
            pruner=form.pruner,
            validation=form.validation,
            seed=form.seed,
            confirm=confirm,
        )

    # ---- whose settings, and what for --------------------------------------------------------------------------------

    def _entry(self) -> MethodEntry | None:
        labels = [entry.label for entry in self.entries]
        path, name = ("tune", "method"), self.given.get("method")
        if name is None and len(labels) == 1:
            name = labels[0]
        found = [entry for entry in self.entries if name in (entry.label, entry.method.name)]
        exact = [entry for entry in found if entry.label == name]
        if len(exact or found) == 1:
            return self._without_grid((exact or found)[0])
        if name is None:
            self.document.add(path, "no method is given to tune", None, choices("", labels))
        elif found:
            listed = choices("", [entry.label for entry in found])
            self.document.add(path, f"{show(name)} is the method of several entries", name, f"Give a label. {listed}")
        elif self.document.sound("methods"):  # else the entry may be there, with a mistake in it
            remedy = choices(str(name), labels)
            self.document.add(path, f"{show(name)} is no method or label of this sweep", name, remedy)
        return None

    def _without_grid(self, entry: MethodEntry) -> MethodEntry | None:
        """The entry, where it stands in the spec as such; the winner is written beside it."""
        items = [item if isinstance(item, dict) else {"name": item} for item in self.document.data["methods"]]
        if any(item.get("label", item["name"]) == entry.label for item in items):
            return entry
        message = f"'{entry.label}' is one cell of a grid, and a search needs an entry without one"
        self.document.add(
            ("tune", "method"), message, entry.label, "Give the entry one value, and vary it in tune.space"
        )
        return None

    def _objective(self) -> tuple[str, ...]:
        given, path = self.given.get("objective", "final_accuracy"), ("tune", "objective")
        names = given if isinstance(given, list) else [given]
        if not 1 <= len(names) <= 2:
            message = "one objective, or two for a Pareto front"
            self.document.add(path, f"{show(given)} is not {message}", given, choices("", OBJECTIVES))
        for index, name in enumerate(names):
            where = (*path, index) if isinstance(given, list) else path
            if not isinstance(name, str) or name not in OBJECTIVES:
                self.document.add(where, f"{show(name)} is no objective", name, choices(str(name), OBJECTIVES))
            elif name in names[:index]:
                self.document.add(where, f"{show(name)} is given twice", name, "Give two different objectives, or one")
        return tuple(name for name in names if isinstance(name, str) and name in OBJECTIVES)

    def _check_tasks(self, objective: Sequence[str], entry: MethodEntry | None) -> None:
        path = ("tune", "objective")
        one = [split.label for split in self.splits if len(split) < 2]
        if one and "forgetting" in objective:
            message = f"with the split {one[0]} there is one task, and nothing to forget"
            self.document.add(path, message, "forgetting", "Tune on splits of two tasks or more")
        if entry is None or _trains_every_task(entry, self.splits):
            return
        has_setting = "at_every_task" in settings.names(entry.method.settings_type)
        remedy = "Set its at_every_task, or choose final_accuracy" if has_setting else "Choose final_accuracy"
        for name in objective:
            if name != "final_accuracy":
                message = f"{entry.label} learns all classes at once and has no {name}"
                self.document.add(path, message, name, remedy)

    # ---- the space ---------------------------------------------------------------------------------------------------

    def _space(self, entry: MethodEntry) -> dict[str, Range | Choices]:
        path, given = ("tune", "space"), self.given.get("space")
        if not isinstance(given, dict) or not given:
            message = "the space is empty" if given in (None, {}) else f"{show(given)} is not a mapping"
            self.document.add(path, message, given, "Write it as {mu: {low: 0.01, high: 1, log: true}}")
            return {}
        published, space = settings_of(entry), {}
        for dotted, dimension in given.items():
            where = (*path, dotted)
            if dotted not in published:
                message = f"{entry.label} has no setting '{dotted}'"
                self.document.add(where, message, dimension, choices(dotted, published), at_key=True)
                continue
            before = len(self.document.problems)
            found = self._dimension(where, dotted, dimension, entry)
            if found and len(self.document.problems) == before:
                space[dotted] = found
                self._check_published(where, found, published[dotted], entry)
        if "training.epochs" in space and entry.training.milestones is not None:
            remedy = "Leave the milestones out for 40, 60 and 80% of each trial's epochs"
            where = (*path, "training.epochs")
            self.document.add(where, "milestones are given, which other epochs do not fit", None, remedy, at_key=True)
        return space

    def _dimension(self, path: KeyPath, dotted: str, given: Any, entry: MethodEntry) -> Range | Choices | None:
        name, settings_type = dotted.rpartition(".")[2], _declared_in(dotted, entry)
        kind = _kind(settings_type, name)
        if kind is None:
            message = f"{dotted} is a list, which is no number and no choice"
            self.document.add(path, message, given, "Tune other settings", at_key=True)
        elif not isinstance(given, dict):
            self.document.add(path, f"{show(given)} is no range and no choices", given, _EXAMPLE)
        elif "choices" in given:
            return self._choices(path, name, given, settings_type)
        elif kind not in (int, float):
            valid = _literals(settings_type, name)
            message = f"{dotted} is no number and has no range"
            self.document.add(path, message, given, f"Write it as {{choices: [{', '.join(valid)}]}}")
        else:
            return self._range(path, name, given, settings_type, whole=kind is int)
        return None

    def _choices(self, path: KeyPath, name: str, given: dict[str, Any], settings_type: type) -> Choices | None:
        for key in given:
            if key != "choices":
                remedy = "A setting has choices, or low, high, log and step"
                self.document.add((*path, key), f"'{key}' does not go with choices", given[key], remedy, at_key=True)
        values, where = given["choices"], (*path, "choices")
        if not isinstance(values, list) or len(values) < 2:
            self.document.add(where, f"{show(values)} is not a list of two or more", values, "Write it as [0.1, 0.2]")
            return None
        read: list[Value] = []
        for index, value in enumerate(values):
            found = settings.read_one(self.document, (*where, index), name, value, settings_type)
            if found and found[name] in read:
                self.document.add((*where, index), f"{show(value)} is given twice", value, "Give each choice once")
            read += found.values()
        return Choices(tuple(read))

    def _range(self, path: KeyPath, name: str, given: dict[str, Any], settings_type: type, whole: bool) -> Range | None:
        keys = ("low", "high", "log", "step")
        for key in given:
            if key not in keys:
                unknown(self.document, (*path, key), given[key], (*keys, "choices"))
        limits: dict[str, Any] = {}
        for key in ("low", "high"):
            if key not in given:
                self.document.add(path, f"`{key}` is missing", given, _EXAMPLE)
                continue
            found = settings.read_one(self.document, (*path, key), name, given[key], settings_type)
            limits |= {key: found[name]} if found else {}
        log, step = given.get("log", False), given.get("step")
        if not isinstance(log, bool):
            self.document.add((*path, "log"), f"{show(log)} is neither true nor false", log, "Write true or false")
        if len(limits) < 2:
            return None
        self._check_range(path, limits["low"], limits["high"], log, step, whole)
        if step is not None and not isinstance(step, int | float):
            return None
        return Range(limits["low"], limits["high"], log is True, step, whole)

    def _check_range(self, path: KeyPath, low: float, high: float, log: Any, step: Any, whole: bool) -> None:
        if low >= high:
            self.document.add((*path, "high"), f"{show(high)} is not above low, {show(low)}", high, "Swap them, say")
        elif log is True and low <= 0:
            remedy = "Begin above 0, or leave `log` out"
            self.document.add((*path, "low"), f"{show(low)} has no order of magnitude", low, remedy)
        elif step is not None:
            where = (*path, "step")
            if isinstance(step, bool) or not isinstance(step, int if whole else int | float):
                kind = "a whole number" if whole else "a number"
                self.document.add(where, f"{show(step)} is not {kind}", step)
            elif step <= 0 or step > high - low:
                self.document.add(where, f"{show(step)} does not fit between low and high", step, "It must be above 0")
            elif (high - low) / step > _MOST_STEPS:
                least = f"It must be at least {(high - low) / _MOST_STEPS:g}"
                self.document.add(where, f"{show(step)} is too small for so wide a range", step, least)
            elif log is True:
                self.document.add(where, "`step` does not go with `log`", step, "Leave one of them out")
            elif not _on_grid(high, low, step):
                last = low + math.floor((high - low) / step) * step
                remedy = f"The last step is at {last:g}: let `high` be that"
                self.document.add(where, f"steps of {show(step)} from {show(low)} miss {show(high)}", step, remedy)

    def _check_published(self, path: KeyPath, dimension: Range | Choices, value: Any, entry: MethodEntry) -> None:
        """Trial 0 is the published setting: what the search is compared with must lie in what it searches."""
        shown = f"{show(value)}, which {entry.label} has without tuning"
        if isinstance(dimension, Choices):
            if value not in dimension.values:
                message = f"the choices lack {shown}"
                self.document.add((*path, "choices"), message, value, "Add it: trial 0 is that setting")
        elif not dimension.low <= value <= dimension.high:
            message = f"{dimension.low:g} to {dimension.high:g} leaves out {shown}"
            self.document.add(path, message, value, "Widen the range: trial 0 is that setting")
        elif dimension.step and not _on_grid(value, dimension.low, dimension.step):
            message = f"steps of {dimension.step:g} from {dimension.low:g} miss {shown}"
            self.document.add((*path, "step"), message, value, "Let a step meet it: trial 0 is that setting")

    # ---- how ---------------------------------------------------------------------------------------------------------

    def _check_sampler(self, sampler: str, objective: Sequence[str], space: dict[str, Range | Choices]) -> None:
        path = ("tune", "sampler")
        if sampler == "grid":
            for dotted, dimension in space.items():
                if isinstance(dimension, Range) and dimension.step is None:
                    remedy = "Give it choices, or a step"
                    where = ("tune", "space", dotted)
                    self.document.add(where, "a grid needs a finite number of values", None, remedy)
            if (points := math.prod(_count(dimension) for dimension in space.values())) > _MOST_POINTS:
                message = f"a grid of {points} points is too large: at most {_MOST_POINTS}"
                self.document.add(("tune", "space"), message, None, "Take larger steps, or another sampler")
        if sampler == "cmaes" and len(objective) > 1:
            self.document.add(path, "'cmaes' takes one objective", sampler, "Choose tpe, gp, random, grid or qmc")
        if sampler == "cmaes" and space and all(isinstance(dimension, Choices) for dimension in space.values()):
            self.document.add(path, "'cmaes' needs a range in the space", sampler, "Choose tpe or random")

    def _confirm(self) -> Confirm:
        given, path = self.given.get("confirm"), ("tune", "confirm")
        read = settings.section(self.document, path, given, ConfirmForm)
        form = ConfirmForm(**read)
        following = max(self.seeds, default=0) + 1
        fresh = form.seeds if form.seeds is not None else tuple(range(following, following + 3))
        for index, seed in enumerate(form.seeds or ()):
            where = (*path, "seeds", index)
            if seed in self.seeds:
                message = f"{seed} is a seed that the trials see"
                self.document.add(where, message, seed, f"Choose fresh ones, from {following} on, say")
            elif seed in fresh[:index]:
                self.document.add(where, f"{seed} is given twice", seed, "Equal seeds are the same work")
        if form.top and len(fresh) < 2:
            remedy = "Give two at the least: a difference without a spread says nothing"
            self.document.add((*path, "seeds"), f"{len(fresh)} seeds cannot confirm anything", list(fresh), remedy)
        return Confirm(form.top, fresh)


def _trains_every_task(entry: MethodEntry, splits: Sequence[Split]) -> bool:
    """Whether a job of the entry has an accuracy after each of its tasks, and not only after the last."""
    method, longest = entry.method, max((len(split) for split in splits), default=1)
    return method.chained or all(method.trains_task(task, longest) for task in range(1, longest))


def _declared_in(dotted: str, entry: MethodEntry) -> type:
    """The dataclass that declares a setting."""
    section, _, name = dotted.rpartition(".")
    if section:
        return {"training": Training, "dreaming": Dreaming}[section]
    return Common if name in settings.names(Common) else entry.method.settings_type


def _kind(settings_type: type, name: str) -> type | None:
    """bool, int, float, or str for a choice of texts; None for what cannot be tuned."""
    declared = get_type_hints(settings_type)[name]
    if get_origin(declared) is Literal:
        return str
    return declared if declared in (bool, int, float, str) else None


def _literals(settings_type: type, name: str) -> list[str]:
    declared = get_type_hints(settings_type)[name]
    if get_origin(declared) is Literal:
        return list(get_args(declared))
    return [json.dumps(value) for value in (False, True)] if declared is bool else ["..."]


def _count(dimension: Range | Choices) -> int:
    """The values of a dimension of a grid; of one that is wrong, 1."""
    if isinstance(dimension, Choices):
        return len(dimension.values)
    return 1 + round((dimension.high - dimension.low) / dimension.step) if dimension.step else 1


def _on_grid(value: float, low: float, step: float) -> bool:
    steps = (value - low) / step
    return abs(steps - round(steps)) <= _SLACK * max(1.0, abs(steps))
