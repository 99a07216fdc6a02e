"""The tables that a sweep's parent run in MLflow is given."""

from collections.abc import Sequence

from orchestrator.results.job_result import JobResult
from orchestrator.spec.model import SweepSpec


def result_tables(spec: SweepSpec, results: Sequence[JobResult]) -> dict[str, str]:
    """File name to text: the results of all jobs as Markdown and as CSV."""
    from reports.frame import frame
    from reports.tables.render import render

    table = frame(spec, results)
    return {"results.md": render(table, "markdown"), "results.csv": render(table, "csv")}
