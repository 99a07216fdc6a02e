"""Repeat-averaged tables in their formats: rows methods, columns splits, cells `mean ± std (n)` over seeds."""

from collections.abc import Mapping, Sequence

import pandas as pd

from orchestrator.text import printable
from reports.content import ARTICLE, Content, Paper
from reports.formats import FORMATS
from reports.jobs import JobReport, SweepReport
from reports.published import Published
from reports.tables.layout import layout


def render(
    frame: pd.DataFrame,
    form: str,
    metric: str | Sequence[str] = "final",
    ddof: int = 1,
    ci: bool = False,
    best: bool = False,
    published: Mapping[tuple[str, str], Published] | None = None,
    notes: tuple[str, ...] = (),
    sweeps: Sequence[SweepReport] = (),
    jobs: Sequence[JobReport] = (),
    paper: Paper = ARTICLE,
    width: int | None = None,
) -> str:
    """The table as text in one of `FORMATS`.

    `metric`: one, methods by splits; or several, methods by measures, which a format for people takes of one split
    alone (ValueError for more). `ci`: 95% intervals in the place of deviations; `best`: the best in bold and those
    that cannot be told from it marked; `published`: figures to be shown beside the measured; `notes`: what the reader
    must know, below the table; `sweeps` and `jobs`: what the rows of `frame` are of, which the page shows more of;
    `paper`: what a table in LaTeX is for; `width`: of the terminal, in characters.
    """
    table = layout(frame, metric, ddof, ci, best, published, tuple(map(printable, notes)))
    if len(table.metrics) > 1 and not FORMATS[form].any_cells and len({column.split for column in table.columns}) > 1:
        raise ValueError(f"several measures of several splits are no table in the format {form}")
    return FORMATS[form].write(Content(frame, table, best, sweeps, jobs, paper, width))
