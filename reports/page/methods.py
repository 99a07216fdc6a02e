"""Method by method, for the page: accuracy and confusion matrices, over all seeds and of each; dreams of each seed."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from orchestrator.results.by_class import Confusion
from orchestrator.text import counted
from reports.figures import sweep_figures
from reports.figures.files import learnt
from reports.figures.job_figures import counted_as
from reports.jobs import JobReport
from reports.page import pictures

ALL = "all"
"""What the page's switch is at in the beginning: all seeds together."""

MOST = 60
"""Jobs of which each seed is shown by itself."""

Matrix = list[list[float | None]]
Content = TypeVar("Content")


@dataclass(frozen=True)
class Part(Generic[Content]):
    """One thing to be shown of a method on a split."""

    of: str
    """Of which seeds it is, in words."""
    choices: str
    """Where the switch must be for it to be shown: one of these, parted by blanks."""
    content: Content


@dataclass(frozen=True)
class Dreams:
    """A job's dreams: for each task its number, the names of its classes where they are known, and an address."""

    job: JobReport
    sheets: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class Shown:
    """What there is of a method on a split."""

    label: str
    split: str
    title: str
    matrices: tuple[Part[Matrix], ...]
    confusions: tuple[Part[pictures.Shown], ...]
    dreams: tuple[Part[Dreams], ...]
    notes: tuple[Part[str], ...]
    """Why a seed shows less."""


def choice(job: JobReport) -> str:
    """What the switch has for this job's seed, and fold where there are any."""
    return str(job.seed) if job.fold is None else f"{job.seed}.{job.fold}"


def choices(jobs: Sequence[JobReport]) -> dict[str, str]:
    """What the switch offers, in words: nothing where there is one seed only, or more jobs than a page can show."""
    of_each = {choice(job): _of(job) for job in sorted(jobs, key=lambda job: (job.seed, job.fold or 0))}
    return {ALL: "all together", **of_each} if len(of_each) > 1 and len(jobs) <= MOST else {}


def methods(jobs: Sequence[JobReport]) -> list[Shown]:
    """Of each label and split what there is to be shown; those of which there is nothing are left out.

    Of more than MOST jobs the mean accuracy matrix, and confusion and dreams of the first seed that has them: each
    seed's would be read for long, and would make a page that nobody can open.
    """
    groups: dict[tuple[str, str], list[JobReport]] = {}
    for job in jobs:
        groups.setdefault((job.label, job.split), []).append(job)
    few = len(jobs) <= MOST
    sheets = {key: _sheets(own, few) for key, own in groups.items()}
    dreamt = pictures.dreams(sheets)
    shown = [_shown(own, few, dreamt[key], sheets[key]) for key, own in groups.items()]
    return [one for one in shown if one.matrices or one.confusions or one.dreams]


def _sheets(jobs: Sequence[JobReport], few: bool) -> dict[str, pictures.Sheets]:
    found = ((choice(job), kept) for job in jobs if (kept := job.dreams()))
    return dict(found if few else itertools.islice(found, 1))


def _shown(
    jobs: Sequence[JobReport],
    few: bool,
    dreamt: Mapping[str, Sequence[tuple[int, str]]],
    sheets: Mapping[str, pictures.Sheets],
) -> Shown:
    """Of the jobs of one label and split."""
    first = jobs[0]
    confused = ((job, found) for job in jobs if job.finished and (found := job.confusion()))
    dreamers = [job for job in jobs if choice(job) in dreamt]
    notes = [Part(_of(job), choice(job), f"{_of(job)}: {job.state}") for job in jobs if not job.finished]
    notes += [
        Part(_of(job), choice(job), f"The dreams of {_of(job)} are left out: the page would be too large to be sent")
        for job in jobs
        if choice(job) in sheets and choice(job) not in dreamt
    ]
    return Shown(
        first.label,
        first.split,
        first.title,
        tuple(_matrices([job for job in jobs if job.finished], few)),
        tuple(_confusions(list(confused if few else itertools.islice(confused, 1)))),
        tuple(
            # There is no mean of dreams: with all seeds together, those of the first one.
            Part(_of(job), f"{ALL} {choice(job)}" if job is dreamers[0] else choice(job), _dreams(job, dreamt))
            for job in dreamers
        ),
        tuple(notes),
    )


def _matrices(jobs: Sequence[JobReport], few: bool) -> list[Part[Matrix]]:
    if not jobs:
        return []
    ((seeds, mean),) = sweep_figures.mean_matrices(jobs).values()
    if len(jobs) == 1:
        return [Part(_of(jobs[0]), f"{ALL} {choice(jobs[0])}", mean)]
    together = Part(f"mean of {counted(seeds, counted_as(jobs))}", ALL, mean)
    if not few:
        return [together]
    each = [
        Part(_of(job), choice(job), matrix) for job in jobs for _, matrix in sweep_figures.mean_matrices([job]).values()
    ]
    return [together, *each]


def _confusions(found: Sequence[tuple[JobReport, Confusion]]) -> list[Part[pictures.Shown]]:
    each = [Part(_of(job), choice(job), pictures.confusion(own, len(found) > 1)) for job, own in found]
    if len(each) == 1:
        return [Part(each[0].of, f"{ALL} {each[0].choices}", each[0].content)]
    if not each:
        return []
    together = together_of([own for _, own in found])
    noun = counted_as([job for job, _ in found])
    return [Part(f"{counted(len(found), noun)} together", ALL, pictures.confusion(together)), *each]


def together_of(found: Sequence[Confusion]) -> Confusion:
    """Their images added up.

    Where seeds have class orders of their own, a class is called after its place, `2.1` the first of task 2: so it is
    seen how much is taken for what was learnt last.
    """
    first = found[0]
    names = first.classes
    if any(own.classes != names for own in found):
        names = tuple(f"{task}.{n}" for task, size in enumerate(first.tasks, start=1) for n in range(1, size + 1))
    return Confusion(names, first.tasks, np.sum([own.counts for own in found], axis=0))


def _dreams(job: JobReport, dreamt: Mapping[str, Sequence[tuple[int, str]]]) -> Dreams:
    names = learnt(job)
    sheets = dreamt[choice(job)]
    return Dreams(job, tuple((task, names[task - 1] if task <= len(names) else "", at) for task, at in sheets))


def _of(job: JobReport) -> str:
    return f"seed {job.seed}" if job.fold is None else f"seed {job.seed}, fold {job.fold}"
