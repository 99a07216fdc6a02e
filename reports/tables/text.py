"""The table for the terminal, and as Markdown."""

import io
import math
import textwrap
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from orchestrator.spec.label import title_of
from reports.tables.caption import caption
from reports.tables.cells import DASH
from reports.tables.fold import fold
from reports.tables.layout import Column, Layout

_FRAME = 3  # characters between two columns


def terminal(table: Layout, width: int | None = None) -> str:
    """A table of lines; the best in bold where they are asked for.

    `width`: characters of a line. A table that is wider is put into tables below one another, and what stands below is
    broken between words; None: nothing is.
    """
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=10_000, highlight=False, force_terminal=bool(table.standings), no_color=True)
    longest = max((len(title_of(label)) + 2 for _, labels in table.rows for label in labels), default=0)
    first = max(longest, *(len(title) for title, _ in table.rows), len("method")) + _FRAME + 1
    widths = [sum(w + _FRAME for w in _least(table, column)) for column in table.columns]
    for block in fold(table.columns, widths, math.inf if width is None else width - first):
        console.print(_shown(table, block), width=width)
    # Not as the table's caption, which would be folded to its width.
    for text in (caption(table), *table.notes):
        console.print(escape(folded(text, width)), soft_wrap=True)
    return written.getvalue()


def folded(text: str, width: int | None) -> str:
    """A text in lines of at most so many characters, broken between words; None: in one line."""
    if width is None:
        return text
    return "\n".join(textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False))


def _least(table: Layout, column: Column) -> list[int]:
    """Characters that a column and what stands beside it need at least, where headings are broken between words."""
    lines = [_texts(table, label, column) for _, labels in table.rows for label in labels]
    headings = [max(map(len, heading.split())) for heading in _headings(table, column)]
    return [max([heading, *(len(line[at][0]) for line in lines)]) for at, heading in enumerate(headings)]


def _shown(table: Layout, columns: Sequence[Column]) -> Table:
    shown = Table()
    shown.add_column("method", no_wrap=True)
    for column in columns:
        for heading, least in zip(_headings(table, column), _least(table, column), strict=True):
            shown.add_column(heading, justify="right", min_width=least)
    for title, labels in table.rows:
        shown.add_row(f"[bold]{title}[/bold]")
        for label in labels:
            texts = [text for column in columns for text in _texts(table, label, column)]
            marked = [f"[bold]{escape(text)}[/bold]" if bold else escape(text) for text, bold in texts]
            shown.add_row(f"  {escape(title_of(label))}", *marked)
        shown.add_section()
    return shown


def markdown(table: Layout) -> str:
    """A table as GitHub shows it, the caption and the notes below it."""
    headings = [heading for column in table.columns for heading in _headings(table, column)]
    lines = [f"| method | {' | '.join(headings)} |", f"| --- |{' ---: |' * len(headings)}"]
    for title, labels in table.rows:
        lines.append(f"| **{title}** |{'  |' * len(headings)}")
        for label in labels:
            texts = [text for column in table.columns for text in _texts(table, label, column)]
            shown = " | ".join(f"**{_plain(text)}**" if bold else _plain(text) for text, bold in texts)
            lines.append(f"| {_plain(title_of(label))} | {shown} |")
    lines += ["", _plain(caption(table))]
    if table.notes:
        lines += ["", *(f"- {_plain(' '.join(note.splitlines()))}" for note in table.notes)]
    return "\n".join([*lines, ""])


def _headings(table: Layout, column: Column) -> list[str]:
    """Of a column and what stands beside it."""
    return [column.heading, *([f"{column.heading}, published", "difference"] if table.compares(column) else [])]


def _texts(table: Layout, label: str, column: Column) -> list[tuple[str, bool]]:
    """The texts of a cell and what stands beside it, each with whether it is bold.

    What was published is in brackets, so that none mistakes it.
    """
    cell, standing = table.cell(label, column), table.standing(label, column)
    texts = [(f"{cell or DASH}{standing.mark if standing else ''}", bool(standing and standing.best))]
    if table.compares(column):
        figure, difference = table.figure(label, column), table.difference(label, column)
        texts.append((f"[{figure.mean:.1f} ± {figure.std:.1f}]" if figure else DASH, False))
        texts.append((f"{difference:+.1f}" if difference is not None else DASH, False))
    return texts


def _plain(text: str) -> str:
    """Text that markdown is to take as it is."""
    return text.replace("*", r"\*").replace("|", r"\|").replace("[", r"\[").replace("<", r"\<")
