"""A comparison of two sweeps as text."""

import io
import json
from collections.abc import Sequence

from dfcil_core.measures import MEASURES
from orchestrator.text import printable
from reports.compare import Comparison, summary
from reports.statistics import Paired
from reports.tables.cells import DASH
from reports.tables.text import folded

_HEADINGS = ("method", "split", "pairs", "B − A", "95% t interval", "p")
_Row = tuple[str, ...]


def render(comparison: Comparison, form: str, width: int | None = None) -> str:
    """As `terminal` or `markdown` (a row a cell, and the jobs that differ most), `csv` (a row a job), or `json`.

    `width`: characters of a line of the terminal; None: as many as there are.
    """
    if form == "csv":
        return comparison.jobs.to_csv(index=False)
    if form == "json":
        return _json(comparison)
    about = MEASURES[comparison.metric]
    over = "seeds and folds" if comparison.jobs["fold"].notna().any() else "seeds"
    lines = [
        f"{about.title} {about.unit}: B minus A, paired over {over}; p of the paired t test, not corrected",
        summary(comparison),
        *map(printable, comparison.notes),
        *map(printable, comparison.remarks),
    ]
    rows = [(*place, *_row(cell, about.digits)) for place, cell in comparison.cells.items()]
    return _terminal(rows, lines, width) if form == "terminal" else _markdown(rows, lines)


def _row(cell: Paired, digits: int) -> tuple[str, str, str, str]:
    digits += 1  # differences are smaller than what they are between
    interval = DASH if cell.low is None else f"{cell.low:+.{digits}f} to {cell.high:+.{digits}f}"
    return str(cell.n), f"{cell.mean:+.{digits}f}", interval, DASH if cell.p is None else f"{cell.p:.3g}"


def _terminal(rows: Sequence[_Row], lines: Sequence[str], width: int | None) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for number, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    written = io.StringIO()
    console = Console(file=written, width=120, highlight=False)
    console.print(table)
    for line in lines:
        console.print(escape(folded(line, width)), soft_wrap=True)
    return written.getvalue()


def _markdown(rows: Sequence[_Row], lines: Sequence[str]) -> str:
    table = [f"| {' | '.join(_HEADINGS)} |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    table += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*table, "", *(f"{line}  " for line in lines), ""])


def _json(comparison: Comparison) -> str:
    cells = [
        {"method": label, "split": split, **{name: getattr(cell, name) for name in ("n", "mean", "low", "high", "p")}}
        for (label, split), cell in comparison.cells.items()
    ]
    told = {
        "metric": comparison.metric,
        "summary": summary(comparison),
        "notes": [*comparison.notes, *comparison.remarks],
        "cells": cells,
        "jobs": comparison.jobs.to_dict("records"),
    }
    return json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
