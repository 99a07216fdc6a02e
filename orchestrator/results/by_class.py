"""What is known of a job class by class: right answers after each task, and which class each image was taken for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfcil_core import counts
from dfcil_core.artifacts import LOGITS
from orchestrator.errors import UserError
from orchestrator.results.job_result import JobResult
from orchestrator.results.local_accuracy import read_logits
from orchestrator.store.our_files import ignored

if TYPE_CHECKING:
    import numpy as np

    from dfcil_core.data.catalog import DatasetInfo
    from orchestrator.plan.plan import Plan

Counted = tuple[int, int]
"""Right answers, over all classes seen so far, and test images."""


@dataclass(frozen=True)
class ClassCounts:
    """Right answers of a job by class."""

    tasks: tuple[tuple[str, ...], ...]
    """Names of the classes of each task, in the order in which they are learnt."""
    after: tuple[Mapping[str, Counted] | None, ...]
    """After each task: name of each class seen so far to its counts; None where the job has not trained that task."""


@dataclass(frozen=True, eq=False)
class Confusion:
    """Which class the test images of each class were taken for, after a job's last task."""

    classes: tuple[str, ...]
    """Names, in the order in which they are learnt: rows and columns of `counts`."""
    tasks: tuple[int, ...]
    """How many of them each task has."""
    counts: np.ndarray
    """(classes, classes) images: the row says what they are, the column what they were taken for."""


def class_name(info: DatasetInfo, label: int) -> str:
    """The name of a class; its label where the data set has no names."""
    return info.class_names[label] if label < len(info.class_names) else str(label)


def class_counts(info: DatasetInfo, result: JobResult) -> ClassCounts:
    """From the records of a job's stages."""
    tasks = tuple(tuple(class_name(info, label) for label in classes) for classes in result.job.tasks)
    after: list[Mapping[str, Counted] | None] = []
    for task, key in enumerate(result.job.learn, start=1):
        record = result.records.get(key) if key else None
        after.append(None if record is None else _seen(info, record["evaluation"], sum(result.job.tasks[:task], ())))
    return ClassCounts(tasks, tuple(after))


def confusion(plan: Plan, result: JobResult, stages: Path) -> Confusion | None:
    """From the test logits that the last task left in the folder `stages` of the store.

    None until the last task is trained, and where its logits are not kept; with a warning where they are damaged.
    """
    key = result.job.learn[-1]
    record = result.records.get(key) if key else None
    if key is None or record is None or LOGITS not in record.get("files", {}):
        return None
    stage = plan.stages[key]
    order: tuple[int, ...] = sum(stage.recipe.classes, ())
    try:
        tensors = read_logits(stages / stage.folder / LOGITS)
    except UserError as damage:
        ignored(f"{damage}. The confusion matrix is left out")
        return None
    names = tuple(class_name(plan.spec.dataset.info, label) for label in order)
    taken = counts.confusion(tensors["logits"], tensors["labels"])[: len(order), : len(order)]
    return Confusion(names, tuple(map(len, result.job.tasks)), taken)


def _seen(info: DatasetInfo, evaluation: Mapping[str, Any], labels: tuple[int, ...]) -> dict[str, Counted]:
    right, images = evaluation["correct"], evaluation["images"]
    return {class_name(info, label): (right[str(label)], images[str(label)]) for label in labels}
