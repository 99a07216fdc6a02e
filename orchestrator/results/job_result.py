"""From the records of stages to the result of a job: the accuracy matrix, and what is derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dfcil_core.counts import group_name
from dfcil_core.metrics import mean_accuracy
from orchestrator.plan.plan import Job, Plan
from orchestrator.spec.model import SweepSpec, settings_of


@dataclass(frozen=True)
class JobResult:
    """What is known of a job, from the store alone.

    `matrix[t-1][j-1]` is the accuracy in percent on the test images of task j after task t, over all seen classes
    (class-incremental); `local` the same within task j's own classes (task-incremental). A row is None where the job
    has not trained, or never trains, that task.
    """

    job: Job
    matrix: tuple[tuple[float, ...] | None, ...]
    local: tuple[tuple[float, ...] | None, ...]
    records: Mapping[str, Mapping[str, Any]]
    """Key of each of the job's finished stages to its record."""

    @property
    def name(self) -> str:
        """For people: `abd · 5 tasks · seed 0`."""
        return self.job.name

    @property
    def label(self) -> str:
        """The method's label in the spec."""
        return self.job.entry.label

    @property
    def method(self) -> str:
        """The method's name."""
        return self.job.entry.method.name

    @property
    def fold(self) -> int | None:
        """Which part of the training images was held out, where the sweep lists folds."""
        return self.job.fold

    @property
    def title(self) -> str:
        """The split, for people: `5 tasks`."""
        return self.job.split.title

    @property
    def finished(self) -> bool:
        """Whether every stage of the job is in the store."""
        return len(self.records) == len(set(self.job.stages))

    @property
    def final(self) -> float | None:
        """Final accuracy A_T in percent, the mean over tasks; None until the last task is trained."""
        row = self.matrix[-1]
        return None if row is None else mean_accuracy(row)

    @property
    def latest(self) -> tuple[int, float] | None:
        """The last task (1-based) that is trained so far, and the mean accuracy in percent after it; None before."""
        trained = [(task, row) for task, row in enumerate(self.matrix, start=1) if row is not None]
        return (trained[-1][0], mean_accuracy(trained[-1][1])) if trained else None


def job_settings(spec: SweepSpec, job: Job) -> dict[str, str]:
    """Every resolved setting of a job by its dotted path, as text; its method, data set, split and seed with them."""
    training = job.entry.training
    first = job.entry.first_model(spec.first_models, job.seed)
    milestones = {"training.milestones": list(training.resolved_milestones())}
    settings = {
        "method": job.entry.method.name,
        "label": job.entry.label,
        "dataset": spec.dataset.info.title,
        "image_size": spec.dataset.image_size,
        "tasks": job.split.label,
        "seed": job.seed,
        **settings_of(job.entry),
        **({"first_model": first.sha256} if first else {}),
        **(milestones if training.schedule == "milestones" else {}),
    }
    if spec.dataset.holdout:
        settings["holdout"] = spec.dataset.holdout
    if job.fold is not None:
        settings["fold"] = job.fold
    return {path: str(value) for path, value in settings.items()}


def images_by_task(result: JobResult) -> tuple[int, ...] | None:
    """Test images of each task; None until the last task is trained."""
    record = result.records.get(result.job.learn[-1] or "")
    if record is None:
        return None
    counts = record["evaluation"]["images"]
    return tuple(sum(counts[str(label)] for label in classes) for classes in result.job.tasks)


def top5_by_task(result: JobResult) -> tuple[float, ...] | None:
    """Top-5 accuracy in percent on each task after the last one; None until then, or where it was not counted."""
    record = result.records.get(result.job.learn[-1] or "")
    correct = None if record is None else record["evaluation"].get("correct_top5")
    images = None if correct is None else images_by_task(result)
    if correct is None or images is None:
        return None
    right = [sum(correct[str(label)] for label in classes) for classes in result.job.tasks]
    return tuple(100 * count / n for count, n in zip(right, images, strict=True))


def job_result(job: Job, records: Mapping[str, Mapping[str, Any]]) -> JobResult:
    """The result of `job` from `records` (stage key to record), which may lack any of its stages."""
    rows: list[tuple[float, ...] | None] = []
    local: list[tuple[float, ...] | None] = []
    tasks = [(tuple(map(str, classes)), group_name(classes)) for classes in job.tasks]
    for task, key in enumerate(job.learn, start=1):
        record = records.get(key) if key else None
        row, own = (None, None) if record is None else _rows(record["evaluation"], tasks[:task])
        rows.append(row)
        local.append(own)
    own_records = {key: records[key] for key in job.stages if key in records}
    return JobResult(job, tuple(rows), tuple(local), own_records)


def job_results(plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> list[JobResult]:
    """The result of every job of the plan, in the plan's order."""
    return [job_result(job, records) for job in plan.jobs]


def _rows(
    evaluation: Mapping[str, Any], tasks: list[tuple[tuple[str, ...], str]]
) -> tuple[tuple[float, ...], tuple[float, ...] | None]:
    """Accuracies of these tasks (labels and group name of each) in percent, over all seen classes and within the own.

    A record counts right answers class by class, so that a stage shared between splits (the upper bound) gives each
    its own row. "Local" answers depend on the split: the record has them for every group of classes that a plan asked
    for (`run_stage`), under the group's labels; the second is None where it lacks one.
    """
    images_of, correct_of = evaluation["images"].__getitem__, evaluation["correct"].__getitem__
    images = [sum(map(images_of, labels)) for labels, _ in tasks]
    row = tuple(100 * sum(map(correct_of, labels)) / n for (labels, _), n in zip(tasks, images, strict=True))
    right = [evaluation["correct_local"].get(name) for _, name in tasks]
    if None in right:
        return row, None
    return row, tuple(100 * count / n for count, n in zip(right, images, strict=True))
