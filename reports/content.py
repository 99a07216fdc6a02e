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
class Paper:
    """What a table in LaTeX is for."""

    columns: int = 1
    """Of the paper, 1 or 2: the table fits into one of them."""
    across: bool = False
    """Whether it stands over both columns of the paper."""
    label: str = ""
    r"""For `\ref`; empty: none."""
    siunitx: bool = False
    """Whether numbers are aligned at their points by the package siunitx."""


ARTICLE = Paper()
"""Of one column."""


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
    paper: Paper = ARTICLE
    """For LaTeX."""
    width: int | None = None
    """Characters that a line of the terminal takes; None: as many as there are."""
