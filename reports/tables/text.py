"""The table for the terminal, and as Markdown."""

import io

from orchestrator.spec.label import title_of
from reports.tables.caption import caption
from reports.tables.cells import DASH
from reports.tables.layout import Layout


def terminal(table: Layout) -> str:
    """A table of lines, wide enough for its columns; the best in bold where they are asked for."""
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
            shown.add_row(f"  {escape(title_of(label))}", *marked)
        shown.add_section()
    width = max(100, 24 + 22 * len(_headings(table)))
    written = io.StringIO()
    console = Console(file=written, width=width, highlight=False, force_terminal=bool(table.standings), no_color=True)
    console.print(shown)
    # Not as the table's caption, which would be folded to its width.
    for text in (caption(table), *table.notes):
        console.print(escape(text), soft_wrap=True)
    return written.getvalue()


def markdown(table: Layout) -> str:
    """A table as GitHub shows it, the caption and the notes below it."""
    headings = _headings(table)
    lines = [f"| method | {' | '.join(headings)} |", f"| --- |{' ---: |' * len(headings)}"]
    for title, labels in table.rows:
        lines.append(f"| **{title}** |{'  |' * len(headings)}")
        for label in labels:
            texts = [(_plain(text), bold) for text, bold in _line(table, label)]
            shown = " | ".join(f"**{text}**" if bold else text for text, bold in texts)
            lines.append(f"| {_plain(title_of(label))} | {shown} |")
    lines += ["", _plain(caption(table))]
    if table.notes:
        lines += ["", *(f"- {_plain(' '.join(note.splitlines()))}" for note in table.notes)]
    return "\n".join([*lines, ""])


def _headings(table: Layout) -> list[str]:
    headings = []
    for column in table.columns:
        headings.append(column.heading)
        if table.compares(column):
            headings += [f"{column.heading}, published", "difference"]
    return headings


def _line(table: Layout, label: str) -> list[tuple[str, bool]]:
    """The texts of a row, each with whether it is bold; what was published is in brackets, so that none mistakes it."""
    line = []
    for column in table.columns:
        cell, standing = table.cell(label, column), table.standing(label, column)
        line.append((f"{cell or DASH}{standing.mark if standing else ''}", bool(standing and standing.best)))
        if table.compares(column):
            figure, difference = table.figure(label, column), table.difference(label, column)
            line.append((f"[{figure.mean:.1f} ± {figure.std:.1f}]" if figure else DASH, False))
            line.append((f"{difference:+.1f}" if difference is not None else DASH, False))
    return line


def _plain(text: str) -> str:
    """Text that markdown is to take as it is."""
    return text.replace("*", r"\*").replace("|", r"\|").replace("[", r"\[").replace("<", r"\<")
