"""What a job knows task by task and class by class, as tidy frames: what `report --rows` and `reports.matrix` give."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd

from orchestrator.errors import UserError
from orchestrator.results.by_class import ClassCounts, Confusion
from reports.jobs import JobReport

_JOB = {
    "job": "the job's name: abd · 5 tasks · seed 0",
    "method": "the method's label in the spec",
    "tasks": "the split as the spec gives it: 5, 50+10",
    "seed": "seed of the job",
}
_COUNTS = {"right": "test images answered right, over all classes seen so far", "of": "test images"}
_AFTER = {"after_task": "the task learnt last, from 1 on", "task": "the task that is tested, from 1 on"}
COLUMNS = {
    "matrix": {**_JOB, **_AFTER, **_COUNTS},
    "classes": {**_JOB, **_AFTER, "class": "name of the class", **_COUNTS},
    "confusion": {
        **_JOB,
        "class": "what the images are",
        "answer": "what they were taken for after the last task",
        "images": "how many test images",
    },
}
"""The kinds of rows, and the columns of each, explained."""
_Row = tuple[object, ...]


def rows(kind: str, jobs: Sequence[JobReport]) -> pd.DataFrame:
    """The rows of a kind of COLUMNS, job by job, of all that is known; a job of which nothing is has none.

    Raises UserError where the source of a job does not know its classes.
    """
    made = [(*_place(job), *row) for job in jobs for row in _MAKERS[kind](job)]
    return pd.DataFrame(made, columns=list(COLUMNS[kind]))


def of_matrix(job: JobReport) -> Iterator[_Row]:
    """Each task after each task."""
    counts = _counts(job)
    for after, found in enumerate(counts.after, start=1):
        for task, names in enumerate(counts.tasks[:after] if found is not None else (), start=1):
            assert found is not None
            right, images = zip(*(found[name] for name in names), strict=True)
            yield after, task, sum(right), sum(images)


def of_classes(job: JobReport) -> Iterator[_Row]:
    """Each class after each task."""
    counts = _counts(job)
    for after, found in enumerate(counts.after, start=1):
        for task, names in enumerate(counts.tasks[:after] if found is not None else (), start=1):
            assert found is not None
            for name in names:
                yield after, task, name, *found[name]


def of_confusion(job: JobReport) -> Iterator[_Row]:
    """Each pair of classes that occurs, after the last task."""
    found: Confusion | None = job.confusion()
    if found is None:
        return
    for name, taken in zip(found.classes, found.counts.tolist(), strict=True):
        for answer, images in zip(found.classes, taken, strict=True):
            if images:
                yield name, answer, images


_MAKERS: dict[str, Callable[[JobReport], Iterable[_Row]]] = {
    "matrix": of_matrix,
    "classes": of_classes,
    "confusion": of_confusion,
}


def _place(job: JobReport) -> _Row:
    return job.name, job.label, job.split, job.seed


def _counts(job: JobReport) -> ClassCounts:
    counts = job.counts()
    if counts is None:
        raise UserError(
            f"{job.name}: its run in the tracking store does not have right answers by class, as older runs do not. "
            "`dfcil-sweep sync` brings them there; a report from the runs folder (without --tracking-uri) has them"
        )
    return counts
