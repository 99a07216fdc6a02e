"""A table on the terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.text import printable

_MARK = "\ue000"
"""Fills the cells of the row that is laid out; of the range that Unicode gives no characters, and one column wide."""


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows under the headings, as wide as the terminal."""
    console = Console(highlight=False)
    headings = [printable(heading) for heading in headings]
    lines = [tuple(map(printable, row)) for row in rows]
    if not _a_line_each(console.width, headings, lines):
        console.print(_table(headings, lines, console.width))
        return
    # Rich lays every cell out by itself: thousands of rows take seconds. So it lays one out, as wide as the widest
    # cells are, and all of ours are put into its place.
    widths = [max(1, *map(cell_len, column)) for column in zip(*lines, strict=True)]
    with console.capture() as drawn:
        console.print(_table(headings, [[_MARK * width for width in widths]], console.width))
    for line in drawn.get().splitlines(keepends=True):
        console.file.write("".join(_filled(line, widths, lines)) if _MARK in line else line)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Table:
    """The first column has what a person types: it stays in one piece, unless that takes half of the width.

    Nothing is cut off: a word that is too long goes on in the next line.
    """
    table = Table()
    for heading, cells in zip(headings, zip(*rows, strict=True) if rows else [()] * len(headings), strict=True):
        whole = not table.columns and max(map(cell_len, (heading, *cells))) <= width / 2
        table.add_column(escape(heading), overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _filled(line: str, widths: Sequence[int], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A laid out line with marks for cells of these widths, once with the cells of each row."""
    between, rest = [], line
    for width in widths:
        before, _, rest = rest.partition(_MARK * width)
        between.append(before)
    for row in rows:
        for before, cell, width in zip(between, row, widths, strict=True):
            yield f"{before}{cell}{' ' * (width - cell_len(cell))}"
        yield rest


def _a_line_each(width: int, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether no cell of the table, which has a border and two blanks for each column, takes more than one line."""
    columns = list(zip(headings, *rows, strict=True))
    needed = 1 + sum(3 + max(map(cell_len, column)) for column in columns)
    return bool(rows) and needed <= width and not any(set(cell) & {"\n", "\t", _MARK} for row in rows for cell in row)
