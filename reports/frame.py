"""Results as one tidy pandas frame: a row a job."""

from collections.abc import Iterable, Sequence

import pandas as pd

from dfcil_core import metrics
from orchestrator.results.job_result import JobResult
from orchestrator.spec.model import SweepSpec
from reports.jobs import JobReport
from reports.sources.store import job_report

COLUMNS = {
    "sweep": "name of the sweep",
    "label": "the method's label in the spec",
    "method": "the method's name",
    "group": "bound, data-free, or memory",
    "dataset": "name of the data set",
    "split": "the split as the spec gives it: 5, 50+10",
    "tasks": "number of tasks",
    "seed": "seed of the job",
    "finished": "whether every stage of the job is done",
    "final": "final accuracy A_T, percent, mean over tasks",
    "weighted": "final accuracy, percent, each test image weighing the same",
    "local": "final task-incremental accuracy, percent, mean over tasks",
    "average": "average incremental accuracy, mean over t of A_t, percent",
    "forgetting": "mean over old tasks of best accuracy before the last task minus final accuracy, percent",
    "bwt": "backward transfer: mean over old tasks of final accuracy minus accuracy when learnt, percent",
    "omega": "mean over t of A_t as a ratio to the upper bound's, of the same seed and split (at_every_task)",
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
}
"""Columns of `frame`, explained. A number that a job does not have is NaN."""


def frame(spec: SweepSpec, results: Iterable[JobResult]) -> pd.DataFrame:
    """One row a job of the sweep, with the columns of `COLUMNS`, in the order of `results`."""
    return frame_of([job_report(spec, result) for result in results])


def frame_of(jobs: Sequence[JobReport]) -> pd.DataFrame:
    """One row a job, with the columns of `COLUMNS`, in the order of `jobs`; they may be of several sweeps."""
    bounds = _bounds(jobs)
    return pd.DataFrame([_row(job, bounds) for job in jobs], columns=list(COLUMNS))


def _row(job: JobReport, bounds: dict[tuple, JobReport | None]) -> dict[str, object]:
    last = job.matrix[-1] if job.matrix else None
    row = {name: getattr(job, name) for name in COLUMNS if hasattr(job, name) and name != "local"}
    row |= {"run": job.run or ""}
    row |= {name: "; ".join(job.provenance.get(name, ())) for name in ("commit", "device", "host")}
    if not (job.finished and last is not None):
        return row
    local, bound = job.local[-1], bounds.get(_place(job))
    return row | {
        "final": metrics.average_accuracy(last),
        "weighted": metrics.image_weighted_accuracy(last, job.images) if job.images else None,
        "local": metrics.average_accuracy(local) if local is not None else None,
        "average": metrics.average_incremental_accuracy(job.matrix),
        "forgetting": metrics.forgetting(job.matrix),
        "bwt": metrics.backward_transfer(job.matrix),
        "omega": metrics.omega(job.matrix, bound.matrix) if bound else None,
    }


def _place(job: JobReport) -> tuple:
    """What two jobs must share to be compared task by task: the images, the tasks, the classes in them."""
    return job.dataset, job.settings.get("image_size"), job.split, job.seed


def _bounds(jobs: Sequence[JobReport]) -> dict[tuple, JobReport | None]:
    """The upper bound of each place, trained at every task; None where two of them disagree."""
    found: dict[tuple, JobReport | None] = {}
    for job in jobs:
        if job.method != "upper-bound" or not job.finished or any(row is None for row in job.matrix):
            continue
        before = found.setdefault(_place(job), job)
        if before is not None and before.matrix != job.matrix:
            found[_place(job)] = None
    return found
