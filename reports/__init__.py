"""From results to tables, figures and pages.

jobs.py        what a report knows of a job and of a sweep, from whichever source
sources/       a sweep from the store (store.py), or from a tracking store (mlflow.py)
merge.py       several sweeps as one set of jobs
frame.py       the tidy frame: a row a job, a column a measure (dfcil_core/measures.py)
rows.py        accuracies task by task and class by class, and confusions, as tidy frames
statistics.py  deviations, intervals, paired tests
tables/        what a table is made of (layout.py), and how it is written: text.py, latex.py, csv_json.py
figures/       colours and canvas (style.py), figures of jobs and of sweeps, their files
page/          one HTML page of it all
content.py     what a report is written from
formats.py     the formats by name: what `report --format` offers
published/     published figures, and what may be compared with them
compare.py     two sweeps or two commits, job by job; tables/comparison.py writes it
artifacts.py   the tables and figures that a sweep's runs in MLflow are given
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.jobs import JobReport


def load(*names: str, runs: str | None = None) -> DataFrame:
    """The jobs of one or more sweeps as a tidy pandas frame: a row a job, columns as in
    `reports.frame.COLUMNS`.

    `runs` is the folder of all results: by default DFCIL_RUNS, else ./runs. Equal jobs of two sweeps are one row; rows
    that contradict each other have the sweep's name in their label. What a reader must know beside the numbers (jobs
    that failed or are missing, conflicts, damage) is in `frame.attrs["notes"]`. Raises UserError for an unknown sweep.
    """
    from reports.frame import frame_of

    jobs, notes = _read(names, runs)
    frame = frame_of(jobs)
    frame.attrs["notes"] = notes
    return frame


def matrix(*names: str, runs: str | None = None) -> DataFrame:
    """Right answers on each task after each task, a row each: the accuracy matrices of all jobs as a tidy frame.

    Columns as in `reports.rows.COLUMNS["matrix"]`; `100 * right / of` is the accuracy in percent. Else as `load`.
    """
    return _rows("matrix", names, runs)


def classes(*names: str, runs: str | None = None) -> DataFrame:
    """Right answers on each class after each task, a row each.

    Columns as in `reports.rows.COLUMNS["classes"]`; else as `matrix`.
    """
    return _rows("classes", names, runs)


def confusion(*names: str, runs: str | None = None) -> DataFrame:
    """Which class was taken for which after the last task, a row for each pair that occurs, in images.

    Columns as in `reports.rows.COLUMNS["confusion"]`; else as `matrix`.
    """
    return _rows("confusion", names, runs)


def _rows(kind: str, names: tuple[str, ...], runs: str | None) -> DataFrame:
    from reports.rows import rows

    jobs, notes = _read(names, runs)
    frame = rows(kind, jobs)
    frame.attrs["notes"] = notes
    return frame


def _read(names: tuple[str, ...], runs: str | None) -> tuple[list[JobReport], list[str]]:
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from reports.merge import merge
    from reports.sources.store import read_sweep

    if not names:
        raise UserError("no sweep was named: load('demo'), or several names")
    folder = sweep_folder.runs_folder(runs)
    return merge([read_sweep(folder, sweep_folder.load(folder, name, as_launched=True)) for name in names])
