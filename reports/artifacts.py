"""What the runs of a sweep in MLflow are given from here: tables and figures. Whoever launches or syncs hands them on.

Importing this loads neither pandas nor matplotlib; making the first table or picture does.
"""

from collections.abc import Sequence

from orchestrator.results.by_class import Confusion
from orchestrator.results.job_result import JobResult
from orchestrator.spec.model import SweepSpec
from orchestrator.tracking.figures import Figures


def result_tables(spec: SweepSpec, results: Sequence[JobResult]) -> dict[str, str]:
    """File name to text: the results of all jobs as Markdown and as CSV."""
    from reports.frame import frame
    from reports.tables.render import render

    table = frame(spec, results)
    return {"results.md": render(table, "markdown"), "results.csv": render(table, "csv")}


def job_pictures(result: JobResult, confusion: Confusion | None) -> dict[str, bytes]:
    """File name to PNG: the accuracy matrix of a job as a heat map, its accuracy over tasks, its confusion matrix."""
    from reports.figures.job_figures import accuracy_matrix, accuracy_over_tasks, confusion_matrix
    from reports.figures.style import png

    pictures = {
        "accuracy_matrix.png": png(accuracy_matrix(result)),
        "accuracy_over_tasks.png": png(accuracy_over_tasks(result)),
    }
    if confusion is not None:
        pictures["confusion_matrix.png"] = png(confusion_matrix(result.name, confusion))
    return pictures


def sweep_pictures(results: Sequence[JobResult]) -> dict[str, bytes]:
    """File name to PNG: the comparison of the sweep's methods over seeds; nothing before the first accuracy."""
    from reports.figures.job_figures import comparison
    from reports.figures.style import png

    figure = comparison(results)
    return {} if figure is None else {"comparison.png": png(figure)}


FIGURES = Figures(job_pictures, sweep_pictures)
"""For `Tracker` and `sync`."""
