"""One trial: a setting, its plan on the store, and how far it is. Knows nothing of Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dfcil_core.measures import Scores, objectives
from orchestrator.plan.plan import Job, Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult, job_result
from orchestrator.spec.model import MethodEntry, SweepSpec, Tune, Value

Records = Mapping[str, Mapping[str, Any]]


def tune_of(spec: SweepSpec) -> Tune:
    """The `tune:` section of a spec, which must have one."""
    if spec.tune is None:
        raise ValueError(f"{spec.name} has no `tune:` section")
    return spec.tune


def entry_of(spec: SweepSpec) -> MethodEntry:
    """The entry that is tuned."""
    return next(entry for entry in spec.methods if entry.label == tune_of(spec).method)


def held_out(
    spec: SweepSpec, seeds: tuple[int, ...], entries: tuple[MethodEntry, ...], folds: int | None = None
) -> SweepSpec:
    """A sweep of these entries that is judged by held-out training images: the test images are not looked at.

    They are those of the trials or, with `folds`, the last of so many parts of the training images.
    """
    share, held = (tune_of(spec).validation, ()) if folds is None else (1 / folds, (folds - 1,))
    dataset = replace(spec.dataset, holdout=share, folds=held)
    return replace(spec, dataset=dataset, methods=entries, seeds=seeds, exclude=(), tune=None)


@dataclass(frozen=True)
class Cell:
    """One split and seed of a trial."""

    job: Job

    @property
    def tasks(self) -> list[int]:
        """The tasks (1-based) that are trained."""
        return [task for task, key in enumerate(self.job.learn, start=1) if key]

    def until(self, task: int) -> tuple[str, ...]:
        """The stages that the accuracy after the last task trained up to `task` needs, in order; none before one is."""
        learnt = [key for key in self.job.learn[:task] if key]
        return self.job.stages[: self.job.stages.index(learnt[-1]) + 1] if learnt else ()


class TrialProgress:
    """A trial on its way: task by task, each on all of its splits and seeds.

    A step is a task (1-based). What a stopped trial would have needed is never asked for, so there is nothing to be
    taken back.
    """

    def __init__(self, spec: SweepSpec, settings: Mapping[str, Value], device: str) -> None:
        tune = tune_of(spec)
        self.objective = tune.objective
        entry = with_settings(entry_of(spec), dict(settings))
        self.plan: Plan = make_plan(held_out(spec, spec.seeds, (entry,)), device)
        self.cells = [Cell(job) for job in self.plan.jobs]
        self.steps = sorted({task for cell in self.cells for task in cell.tasks})
        self._at = 0

    @property
    def step(self) -> int:
        """The step that is to be reached next."""
        return self.steps[self._at]

    @property
    def last(self) -> bool:
        """Whether that is the trial's last."""
        return self._at == len(self.steps) - 1

    def wanted(self) -> dict[str, Stage]:
        """The stages that it takes, those of earlier steps included."""
        return self.needed(self.step)

    def needed(self, step: int) -> dict[str, Stage]:
        """The stages of all cells up to the task."""
        return {key: self.plan.stages[key] for cell in self.cells for key in cell.until(step)}

    def used(self, last_step: int | None) -> set[str]:
        """The stages of all steps up to `last_step`."""
        return set() if last_step is None else set(self.needed(last_step))

    def reached(self, records: Records) -> bool:
        """Whether the next step is reached."""
        return all(cell.job.learn[self.step - 1] in records for cell in self._of_step())

    def value(self, records: Records) -> float:
        """The first objective as of the next step, which is reached; the mean over splits and seeds that have it."""
        results = [job_result(cell.job, records) for cell in self._of_step()]
        return sum(value_at(result, self.objective[0], self.step) for result in results) / len(results)

    def advance(self) -> None:
        """Go to the step after the next one."""
        self._at += 1

    def values(self, records: Records) -> list[float]:
        """Each objective of the finished trial: the mean over its cells."""
        results = [job_result(cell.job, records) for cell in self.cells]
        return [sum(final_value(result, name) for result in results) / len(results) for name in self.objective]

    def _of_step(self) -> list[Cell]:
        return [cell for cell in self.cells if self.step in cell.tasks]


def value_at(result: JobResult, objective: str, task: int) -> float:
    """An objective in percent as of a task. Forgetting is 0 after task 1, where there is nothing to forget."""
    measure = objectives()[objective]
    value = measure.value(Scores(result.matrix[:task], result.local[:task]))
    if value is None and task == 1:
        value = measure.before
    if value is None:
        raise ValueError(f"{result.job.name} has no {objective} after task {task}")
    return value


def final_value(result: JobResult, objective: str) -> float:
    """An objective of a finished job, in percent."""
    return value_at(result, objective, len(result.matrix))


def with_settings(entry: MethodEntry, settings: dict[str, Value], label: str | None = None) -> MethodEntry:
    """`entry` with other values for these dotted paths (`training.lr`, `dreaming.steps`, `mu`, `memory`)."""
    parts: dict[str, dict[str, Any]] = {"training": {}, "dreaming": {}, "": {}}
    own: dict[str, Any] = {}
    for path, value in settings.items():
        section, _, name = path.rpartition(".")
        if path in ("memory", "quirks"):
            own[path] = value
        else:
            parts[section][name] = value
    method = entry.method
    if parts[""]:
        method = type(method)(replace(method.settings, **parts[""]))
    return replace(
        entry,
        label=label or entry.label,
        method=method,
        training=replace(entry.training, **parts["training"]),
        dreaming=replace(entry.dreaming, **parts["dreaming"]),
        **own,
    )
