"""Repeat-averaged tables in their formats: rows methods, columns splits, cells `mean ± std (n)` over seeds."""

import io
import json
import math
from collections.abc import Mapping

import pandas as pd

from reports.published.published import SOURCE, Published
from reports.tables.latex import latex
from reports.tables.layout import DASH, Cell, Layout, caption, cells, layout

FORMATS = ("terminal", "markdown", "latex", "csv", "json")
__all__ = ["FORMATS", "Cell", "caption", "cells", "render", "rows_of_cells", "rows_of_jobs"]


def render(
    frame: pd.DataFrame,
    form: str,
    metric: str = "final",
    ddof: int = 1,
    ci: bool = False,
    best: bool = False,
    published: Mapping[tuple[str, str], Published] | None = None,
    notes: tuple[str, ...] = (),
) -> str:
    """The table as text in one of `FORMATS`.

    `ci`: 95% intervals in the place of deviations; `best`: the best in bold and those that cannot be told from it
    marked; `published`: figures to be shown beside the measured; `notes`: what the reader must know, below the table.
    """
    table = layout(frame, metric, ddof, ci, best, published, notes)
    if form == "json":
        return _json(frame, table)
    return {"terminal": _terminal, "markdown": _markdown, "latex": latex, "csv": _csv}[form](table, frame)


def rows_of_cells(frame: pd.DataFrame, table: Layout) -> list[dict[str, object]]:
    """A row a cell, unrounded."""
    groups = frame.drop_duplicates("label").set_index("label")["group"]
    spread = "half_width_95" if table.ci else "std"
    rows = []
    for (label, split), cell in table.cells.items():
        row = {"method": label, "group": groups[label], "split": split, "metric": table.metric, "mean": cell.mean}
        row |= {spread: cell.std, "ddof": 1 if table.ci else table.ddof, "n": cell.n, "asked": cell.asked}
        if table.standings:
            standing = table.standings.get((label, split))
            row |= {"best": bool(standing and standing.best), "p_holm": standing.p if standing else None}
        if table.published is not None:
            figure = table.published.get((label, split))
            row |= {
                "published_mean": figure.mean if figure else None,
                "published_std": figure.std if figure else None,
                "difference": table.difference((label, split)),
            }
        rows.append(row)
    return rows


def rows_of_jobs(frame: pd.DataFrame) -> list[dict[str, object]]:
    """A row a job, with None for what it does not have."""
    return [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


def _terminal(table: Layout, _: pd.DataFrame) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table()
    shown.add_column("method")
    for title in _headings(table):
        shown.add_column(title, justify="right")
    for title, labels in table.rows:
        shown.add_row(f"[bold]{title}[/bold]")
        for label in labels:
            marked = [f"[bold]{escape(text)}[/bold]" if bold else escape(text) for text, bold in _line(table, label)]
            shown.add_row(f"  {escape(label)}", *marked)
        shown.add_section()
    width = max(100, 24 + 22 * len(_headings(table)))
    console = Console(
        file=io.StringIO(), width=width, highlight=False, force_terminal=bool(table.standings), no_color=True
    )
    console.print(shown)
    # Not as the table's caption, which would be folded to its width.
    for text in (table.caption, *table.notes):
        console.print(escape(text), soft_wrap=True)
    return console.file.getvalue()


def _markdown(table: Layout, _: pd.DataFrame) -> str:
    headings = _headings(table)
    lines = [f"| method | {' | '.join(headings)} |", f"| --- |{' ---: |' * len(headings)}"]
    for title, labels in table.rows:
        lines.append(f"| **{title}** |{'  |' * len(headings)}")
        for label in labels:
            texts = [(_plain(text), bold) for text, bold in _line(table, label)]
            shown = " | ".join(f"**{text}**" if bold else text for text, bold in texts)
            lines.append(f"| {_plain(label)} | {shown} |")
    lines += ["", _plain(table.caption)]
    if table.notes:
        lines += ["", *(f"- {_plain(' '.join(note.splitlines()))}" for note in table.notes)]
    return "\n".join([*lines, ""])


def _csv(table: Layout, frame: pd.DataFrame) -> str:
    return pd.DataFrame(rows_of_cells(frame, table)).to_csv(index=False)


def _json(frame: pd.DataFrame, table: Layout) -> str:
    """The cells, a row a job, and the caption and notes: all that the other formats say."""
    told = {
        "caption": table.caption,
        "notes": list(table.notes),
        "published_source": SOURCE if table.published else None,
        "cells": rows_of_cells(frame, table),
        "jobs": rows_of_jobs(frame),
    }
    return json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _headings(table: Layout) -> list[str]:
    headings = []
    for title in table.columns.values():
        headings += [title, f"{title}, published", "difference"] if table.published else [title]
    return headings


def _line(table: Layout, label: str) -> list[tuple[str, bool]]:
    """The texts of a row, each with whether it is bold; what was published is in brackets, so that none mistakes it."""
    line = []
    for split in table.columns:
        cell, standing = table.cells.get((label, split), DASH), table.standings.get((label, split))
        line.append((f"{cell}{standing.mark if standing else ''}", bool(standing and standing.best)))
        if table.published:
            figure, difference = table.published.get((label, split)), table.difference((label, split))
            line.append((f"[{figure.mean:.1f} ± {figure.std:.1f}]" if figure else DASH, False))
            line.append((f"{difference:+.1f}" if difference is not None else DASH, False))
    return line


def _plain(text: str) -> str:
    """Text that markdown is to take as it is."""
    return text.replace("*", r"\*").replace("|", r"\|").replace("[", r"\[").replace("<", r"\<")
