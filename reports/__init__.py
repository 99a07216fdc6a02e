"""From results to tables, figures and pages.

jobs.py        what a report knows of a job and of a sweep, from whichever source
from_store.py  a sweep from the store (reports/sources/mlflow.py: from a tracking store)
merge.py       several sweeps as one set of jobs
results.py     the tidy frame: a row a job
statistics.py  deviations, intervals, paired tests
cells.py       what a table is made of; tables.py, latex.py: its formats
published.py   published figures, and what may be compared with them
compare.py     two sweeps or two commits, job by job
figures.py, sweep_figures.py, figure_files.py   figures of jobs and of sweeps, and their files
page.py        one HTML page of it all
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def load(*names: str, runs: str | None = None) -> DataFrame:
    """The jobs of one or more sweeps as a tidy pandas frame: a row a job, columns as in
    `reports.frame.COLUMNS`.

    `runs` is the folder of all results: by default DFCIL_RUNS, else ./runs. Equal jobs of two sweeps are one row; rows
    that contradict each other have the sweep's name in their label. What a reader must know beside the numbers (jobs
    that failed or are missing, conflicts, damage) is in `frame.attrs["notes"]`. Raises UserError for an unknown sweep.
    """
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from reports.frame import frame_of
    from reports.merge import merge
    from reports.sources.store import read_sweep

    if not names:
        raise UserError("no sweep was named: load('demo'), or several names")
    folder = sweep_folder.runs_folder(runs)
    jobs, notes = merge([read_sweep(folder, sweep_folder.load(folder, name, as_launched=True)) for name in names])
    frame = frame_of(jobs)
    frame.attrs["notes"] = notes
    return frame
