"""Results as one tidy pandas frame: a row a job."""

from collections.abc import Iterable, Sequence

import pandas as pd

from dfcil_core.measures import MEASURES, Scores
from orchestrator.results.job_result import JobResult
from orchestrator.spec.model import SweepSpec
from orchestrator.text import printable
from reports.jobs import JobReport, value_of
from reports.sources.store import job_report

# The order of the columns is what programs may rely on: these measures came first, later ones follow.
_FIRST = ("final", "weighted", "local")

COLUMNS = {
    "sweep": "name of the sweep",
    "label": "the method's label in the spec",
    "method": "the method's name",
    "group": "bound, data-free, or memory",
    "dataset": "name of the data set",
    "split": "the split as the spec gives it: 5, 50+10; with a class order and where it stops: 5@natural, 10@3of10",
    "tasks": "number of tasks that are run",
    "seed": "seed of the job",
    "finished": "whether every stage of the job is done",
    **{name: MEASURES[name].column for name in (*_FIRST, *(name for name in MEASURES if name not in _FIRST))},
    "seconds": "time of the job's stages, those shared with other jobs included",
    "state": "finished, failed, half-finished, or missing (nothing of it is done)",
    "error": "why it failed; empty where it did not",
    "done": "stages done",
    "asked": "stages in all",
    "commit": "commit of the source that ran, several joined by semicolons; empty where unknown",
    "device": "kind and name of the device, several joined by semicolons",
    "host": "the machine, several joined by semicolons",
    "id": "equal for jobs of equal label, split, seed and stages",
    "run": "address of the MLflow run, where it is known",
    "class_order": "shuffled (by the seed), natural, numpy-1993, or the name of a given order",
    "holdout": "share of the training images that stands for the test images; 0: the test images",
    "fold": "which such part of the training images, of a sweep that lists folds; else None",
}
"""Columns of `frame`, explained; `frame_of` tells which may follow. A number that a job does not have is NaN."""

Place = tuple[str, str | None, str, int, float, int | None]
"""What two jobs must share to be compared task by task: data set, size of the images, split, seed, held-out images."""


def frame(spec: SweepSpec, results: Iterable[JobResult]) -> pd.DataFrame:
    """One row a job of the sweep, with the columns of `COLUMNS`, in the order of `results`."""
    return frame_of([job_report(spec, result) for result in results])


def frame_of(jobs: Sequence[JobReport]) -> pd.DataFrame:
    """One row a job, with the columns of `COLUMNS`, in the order of `jobs`; they may be of several sweeps.

    Where a grid varies settings, a column for each follows, by its dotted path (`mu`, `training.lr`), with its value in
    every job that has the setting.
    """
    bounds = _bounds(jobs)
    varied = {path: None for job in jobs for path in job.varied}
    rows = [_row(job, bounds) | _settings(job, varied) for job in jobs]
    found = pd.DataFrame(rows, columns=[*COLUMNS, *map(_column, varied)])
    # As objects: pandas would make numbers with a fraction of them where one job has none.
    return found.assign(fold=pd.Series([job.fold for job in jobs], dtype=object))


def varied_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of the settings that grids vary."""
    return [str(name) for name in frame.columns if name not in COLUMNS]


def _settings(job: JobReport, paths: Iterable[str]) -> dict[str, object]:
    return {_column(path): value_of(job.settings[path]) for path in paths if path in job.settings}


def _column(path: str) -> str:
    """A plug-in may call a setting as we call a column."""
    return f"setting.{path}" if path in COLUMNS else path


def _row(job: JobReport, bounds: dict[Place, JobReport | None]) -> dict[str, object]:
    row = {name: getattr(job, name) for name in COLUMNS if hasattr(job, name) and name not in MEASURES}
    row |= {"run": job.run or ""}
    row |= {name: "; ".join(job.provenance.get(name, ())) for name in ("commit", "device", "host")}
    row = {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
    if not job.finished or not job.matrix or job.matrix[-1] is None:
        return row
    bound = bounds.get(_place(job))
    scores = Scores(job.matrix, job.local, job.images, bound.matrix if bound else None, job.top5)
    return row | {name: measure.value(scores) for name, measure in MEASURES.items()}


def _place(job: JobReport) -> Place:
    return job.dataset, job.settings.get("image_size"), job.split, job.seed, job.holdout, job.fold


def _bounds(jobs: Sequence[JobReport]) -> dict[Place, JobReport | None]:
    """The upper bound of each place, trained at every task; None where two of them disagree."""
    found: dict[Place, JobReport | None] = {}
    for job in jobs:
        if job.method != "upper-bound" or not job.finished or any(row is None for row in job.matrix):
            continue
        before = found.setdefault(_place(job), job)
        if before is not None and before.matrix != job.matrix:
            found[_place(job)] = None
    return found
