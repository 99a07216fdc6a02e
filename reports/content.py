"""What a report is written from, in whichever format. Loads no pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from reports.jobs import JobReport, SweepReport
    from reports.tables.layout import Layout


@dataclass(frozen=True)
class Content:
    """A report's content: the frame, the table that was asked for, and the jobs and sweeps behind them."""

    frame: pd.DataFrame
    """A row a job, with the columns of `reports.frame.COLUMNS`."""
    table: Layout
    """The frame arranged as the table that was asked for; its caption and notes with it."""
    best: bool = False
    """Whether further tables are to mark the best as well."""
    sweeps: Sequence[SweepReport] = ()
    jobs: Sequence[JobReport] = ()
    """The jobs of the frame, row by row. A format that needs more than a table shows of them what is there."""
