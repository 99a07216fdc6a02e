"""Two sweeps, or two commits, job by job: whether a change of the program changed the numbers, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from orchestrator.spec.model import run_name
from orchestrator.text import counted
from reports.frame import frame_of
from reports.jobs import JobReport, machines, told_apart
from reports.statistics import LEVEL, Paired, paired

COLUMNS = {
    "label": "the method's label",
    "split": "the split",
    "seed": "the seed",
    "fold": "the fold; None of a sweep that lists none",
    "a": "the metric in A",
    "b": "the metric in B",
    "difference": "B minus A",
    "identical": "whether every accuracy of the job is equal to the last digit",
}
"""Columns of `Comparison.jobs`, explained."""

Place = tuple[str, str, str, int, int | None]
"""Data set, label, split, seed and fold: what pairs a job of A with one of B."""
_Valued = tuple[JobReport, float | None]


@dataclass(frozen=True)
class Comparison:
    """What is in both, job by job and cell by cell, and what is not in both. Differences are B minus A."""

    metric: str
    jobs: pd.DataFrame
    cells: dict[tuple[str, str], Paired]
    """(label, split) to the paired differences over seeds."""
    notes: tuple[str, ...]
    """What is not in both."""
    remarks: tuple[str, ...] = ()
    """Why numbers may differ that should not."""

    @property
    def identical(self) -> bool:
        """Whether every job that either has is in both, finished, with equal accuracies."""
        return not self.notes and bool(self.jobs["identical"].all())


def compare(a: Sequence[JobReport], b: Sequence[JobReport], metric: str = "final") -> Comparison:
    """Pair the jobs by data set, label, split, seed and fold; the notes tell those that are not finished in both."""
    first, second = _by_place(a, metric), _by_place(b, metric)
    notes: list[str] = []
    rows: list[tuple[object, ...]] = []
    cells: dict[tuple[str, str], list[float]] = {}
    without: dict[str, list[Place]] = {}
    for name, own, there in (("A", first, second), ("B", second, first)):
        only = [place for place in own if place not in there]
        if only:
            notes.append(f"{counted(len(only), 'job')} only in {name}: {_listed(only)}")
    for place, (job, value) in first.items():
        if place not in second:
            continue
        other, theirs = second[place]
        if value is None or theirs is None:
            where = " and ".join(name for name, number in (("A", value), ("B", theirs)) if number is None)
            without.setdefault(f"no number in {where} ({job.state} in A, {other.state} in B)", []).append(place)
            continue
        same = (job.matrix, job.local) == (other.matrix, other.local)
        rows.append((job.label, job.split, job.seed, job.fold, value, theirs, theirs - value, same))
        cells.setdefault((job.label, job.split), []).append(theirs - value)
    notes += [f"{counted(len(places), 'job')} with {why}: {_listed(places)}" for why, places in without.items()]
    found = {place: paired(differences) for place, differences in cells.items()}
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).infer_objects()
    return Comparison(metric, table, found, tuple(notes), _remarks(first, second))


def _remarks(first: Mapping[Place, _Valued], second: Mapping[Place, _Valued]) -> tuple[str, ...]:
    """Of the jobs that are in both."""
    a, b = ([jobs[place][0] for place in first if place in second] for jobs in (first, second))
    if not told_apart(a, b):
        return ()
    where = f"A was computed on {'; '.join(machines(a))}, B on {'; '.join(machines(b))}"
    return (f"{where}: numbers differ by processor, within the spread over seeds",)


def summary(comparison: Comparison) -> str:
    """In one sentence."""
    count, same = len(comparison.jobs), int(comparison.jobs["identical"].sum())
    if not count:
        return "no job is finished in both"
    if same == count:
        return f"all {count} jobs in both are identical to the last digit"
    told = [place for place, cell in comparison.cells.items() if cell.p is not None and cell.p < LEVEL]
    differ = f"; of {len(comparison.cells)} cells, {len(told)} differ at p < {LEVEL} (paired t test, not corrected)"
    return f"{same} of {count} jobs in both are identical to the last digit{differ}"


def _by_place(jobs: Sequence[JobReport], metric: str) -> dict[Place, _Valued]:
    values = frame_of(jobs)[metric].astype(float)
    return {
        (job.dataset, job.label, job.split, job.seed, job.fold): (job, None if pd.isna(value) else float(value))
        for job, value in zip(jobs, values, strict=True)
    }


def _listed(places: Sequence[Place]) -> str:
    names = [f"{label} · {split} · {run_name(seed, fold)}" for _, label, split, seed, fold in places[:5]]
    return "; ".join(names) + (f"; and {len(places) - 5} more" if len(places) > 5 else "")
