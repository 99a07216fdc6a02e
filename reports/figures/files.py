"""Writing the figures of a report to files: PNG, PDF and SVG of each."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from reports.figures import grid_figures, job_figures, sweep_figures
from reports.jobs import JobReport

FORMATS = ("png", "pdf", "svg")


def drawn(jobs: Sequence[JobReport]) -> Iterator[tuple[str, Figure]]:
    """Name and figure of all that can be drawn of these jobs, dreams of the first seed of each label and split."""
    for name, figure in (
        ("accuracy-over-tasks", job_figures.comparison(jobs)),
        ("forgetting-per-task", sweep_figures.forgetting_per_task(jobs)),
        ("accuracy-against-cost", sweep_figures.accuracy_against_cost(jobs)),
        ("accuracy-matrices", sweep_figures.heat_maps(jobs)),
    ):
        if figure is not None:
            yield name, figure
    for path, figure in grid_figures.over_values(jobs).items():
        yield f"final-over-{path}", figure
    for job, pictures in dreams(jobs):
        if (sheet := sweep_figures.dream_sheet(f"{job.name} · {job.dataset}", pictures, learnt(job))) is not None:
            yield f"dreams-{job.label}-{job.split}-s{job.seed}", sheet


def learnt(job: JobReport) -> list[str]:
    """Of each task the names of its classes, as far as a line takes them; empty where they are not known."""
    counts = job.counts()
    return [textwrap.shorten(", ".join(names), 48, placeholder=" ...") for names in counts.tasks] if counts else []


def dreams(jobs: Sequence[JobReport]) -> Iterator[tuple[JobReport, list[tuple[int, bytes]]]]:
    """The first job of each label and split that has dreams, with its pictures."""
    seen = set()
    for job in jobs:
        if (job.label, job.split) not in seen and (pictures := job.dreams()):
            seen.add((job.label, job.split))
            yield job, pictures


def save_all(jobs: Sequence[JobReport], folder: Path) -> list[Path]:
    """Write every figure into `folder`, made if need be, in each of FORMATS; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in drawn(jobs):
        safe = "".join(c if c.isalnum() or c in "-+._" else "-" for c in name)
        for form in FORMATS:
            path = folder / f"{safe}.{form}"
            # No date inside: the same results give the same file.
            figure.savefig(path, metadata={"CreationDate": None} if form == "pdf" else _undated(form))
            written.append(path)
    return written


def _undated(form: str) -> dict[str, None] | None:
    return {"Date": None} if form == "svg" else None
