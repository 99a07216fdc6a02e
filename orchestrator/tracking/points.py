"""From the records of a job's stages to metric points. Pure: no clock, so that a replay gives the same points.

A point's time is the `ended` of the record it comes from. MLflow keeps equal (key, value, time, step) once, so
delivering a record again adds nothing. Points of a stage are given in the order of the job's stages only: the steps of
the curves go on from task to task, and forgetting needs the rows before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfcil_core import metrics
from dfcil_core.measures import MEASURES, Scores
from orchestrator.plan.plan import Plan
from orchestrator.results.job_result import JobResult, images_by_task, top5_by_task

_USED = ("cpu_percent", "memory_mib", "gpu_memory_mib")


@dataclass(frozen=True)
class Point:
    """One value of a metric. Accuracies and forgetting are in percent, `time` in milliseconds since 1970."""

    key: str
    value: float
    step: int
    time: int


def milliseconds(seconds: float) -> int:
    """A record's time (seconds since 1970) as MLflow counts it."""
    return round(seconds * 1000)


def finished_in_order(result: JobResult) -> int:
    """How many of the job's stages are finished, counted up to the first that is not."""
    for position, key in enumerate(result.job.stages):
        if key not in result.records:
            return position
    return len(result.job.stages)


def points(plan: Plan, result: JobResult, start: int, stop: int) -> list[Point]:
    """The points of the job's stages `start` to `stop` (exclusive, positions in `job.stages`), which are finished.

    With its last stage come the figures of the whole job.
    """
    found: list[Point] = []
    for position in range(start, stop):
        stage = plan.stages[result.job.stages[position]]
        record = result.records[stage.key]
        task, time = stage.recipe.task, milliseconds(record["ended"])
        if stage.recipe.kind == "learn":
            task = result.job.learn.index(stage.key) + 1
            found += _accuracies(result, task, time)
            found += _learning_curves(result, task, record, time)
        elif stage.recipe.kind == "dream":
            offset = (task - 1) * stage.recipe.settings["steps"]
            found += _dreaming_curves(record, offset, time)
        found.append(Point(f"seconds/{stage.recipe.kind}", float(record["seconds"]), task, time))
        found += _usage(record, stage.recipe.kind, task, time)
    if start < stop == len(result.job.stages):
        found += _final(result)
    return found


def _accuracies(result: JobResult, task: int, time: int) -> list[Point]:
    """What is known after a task: accuracy on each task so far, the average (both measures), and forgetting."""
    found: list[Point] = []
    for prefix, matrix in (("accuracy", result.matrix), ("accuracy/local", result.local)):
        row = matrix[task - 1]
        assert row is not None, f"{result.name} has no {prefix} after task {task}, which it has learnt"
        found += [Point(f"{prefix}/task_{j:02d}", value, task, time) for j, value in enumerate(row, start=1)]
        found.append(Point(f"{prefix}/average", metrics.mean_accuracy(row), task, time))
    lost = metrics.forgetting(result.matrix, task)
    return found if lost is None else [*found, Point("forgetting", lost, task, time)]


def _learning_curves(result: JobResult, task: int, record: Mapping[str, Any], time: int) -> list[Point]:
    """`train/loss`, `train/lr` and the like; the step is the epoch, counted from the job's first task on."""
    earlier = (result.records[key] for key in result.job.learn[: task - 1] if key)
    offset = sum(_length(before["curves"]) for before in earlier)
    return [
        Point(f"train/{name.removesuffix('_train')}", float(value), offset + epoch, time)
        for name, values in record["curves"].items()
        for epoch, value in enumerate(values, start=1)
    ]


def _dreaming_curves(record: Mapping[str, Any], offset: int, time: int) -> list[Point]:
    """`dream/loss` and its terms; the step is the generator's training step, counted from its first task on."""
    curves = record["curves"]
    return [
        Point(f"dream/{name}", float(value), offset + step, time)
        for name, values in curves.items()
        if name != "step"
        for step, value in zip(curves["step"], values, strict=True)
    ]


def _usage(record: Mapping[str, Any], kind: str, task: int, time: int) -> list[Point]:
    """What the stage used of the machine, under names that MLflow shows as system metrics."""
    used = record.get("usage", {})
    return [Point(f"system/{kind}_{name}", float(used[name]), task, time) for name in _USED if name in used]


def _final(result: JobResult) -> list[Point]:
    """The figures of a finished job, under plain names by which the table of runs can be sorted."""
    tasks = len(result.matrix)
    last = result.job.learn[-1]
    assert last is not None  # every job trains its last task
    time = milliseconds(result.records[last]["ended"])
    scores = Scores(result.matrix, result.local, images_by_task(result), top5=top5_by_task(result))
    sizes_differ = len(set(result.job.split.sizes)) > 1
    logged = [
        measure
        for measure in MEASURES.values()
        if measure.logged and (sizes_differ or not measure.logged_where_sizes_differ)
    ]
    values = {measure.logged: measure.value(scores) for measure in logged}
    return [Point(key, value, tasks, time) for key, value in values.items() if value is not None]


def _length(curves: dict[str, list[float]]) -> int:
    return max((len(values) for values in curves.values()), default=0)
