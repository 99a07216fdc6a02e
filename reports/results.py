"""Results as one tidy pandas frame: a row a job."""

from collections.abc import Iterable

import pandas as pd

from dfcil_core import metrics
from orchestrator.results import JobResult
from orchestrator.sweep import SweepSpec

COLUMNS = {
    "sweep": "name of the sweep",
    "label": "the method's label in the spec",
    "method": "the method's name",
    "group": "bound, data-free, or memory",
    "dataset": "name of the data set",
    "split": "the split as the spec gives it: 5, 50+10",
    "tasks": "number of tasks",
    "seed": "seed of the job",
    "finished": "whether every stage of the job is in the store",
    "final": "final accuracy A_T, percent, mean over tasks",
    "weighted": "final accuracy, percent, each test image weighing the same",
    "local": "final task-incremental accuracy, percent, mean over tasks",
    "average": "average incremental accuracy, mean over t of A_t, percent",
    "forgetting": "mean over old tasks of best accuracy before the last task minus final accuracy, percent",
    "bwt": "backward transfer: mean over old tasks of final accuracy minus accuracy when learnt, percent",
    "seconds": "time of the job's stages, those shared with other jobs included",
}
"""Columns of `frame`, explained. A number that a job does not have is NaN."""


def frame(spec: SweepSpec, results: Iterable[JobResult]) -> pd.DataFrame:
    """One row a job of the sweep, with the columns of `COLUMNS`, in the order of `results`."""
    return pd.DataFrame([_row(spec, result) for result in results], columns=list(COLUMNS))


def _row(spec: SweepSpec, result: JobResult) -> dict[str, object]:
    job, last = result.job, result.matrix[-1]
    done = result.finished and last is not None
    local = result.local[-1]
    images = _images(result) if done else []
    return {
        "sweep": spec.name,
        "label": job.entry.label,
        "method": job.entry.method.name,
        "group": job.entry.method.group,
        "dataset": spec.dataset.info.name,
        "split": job.split.label,
        "tasks": len(job.split),
        "seed": job.seed,
        "finished": result.finished,
        "final": metrics.average_accuracy(last) if done else None,
        "weighted": metrics.image_weighted_accuracy(last, images) if done else None,
        "local": metrics.average_accuracy(local) if done and local is not None else None,
        "average": metrics.average_incremental_accuracy(result.matrix) if done else None,
        "forgetting": metrics.forgetting(result.matrix) if done else None,
        "bwt": metrics.backward_transfer(result.matrix) if done else None,
        "seconds": sum(record["seconds"] for record in result.records.values()),
    }


def _images(result: JobResult) -> list[int]:
    """Test images of each task."""
    counts = result.records[result.job.learn[-1]]["evaluation"]["images"]
    return [sum(counts[str(label)] for label in classes) for classes in result.job.tasks]
