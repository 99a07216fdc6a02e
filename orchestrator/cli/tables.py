"""A table on the terminal."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from orchestrator.text import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows under the headings, as wide as the terminal."""
    console = Console(highlight=False)
    table = Table(*(escape(printable(heading)) for heading in headings))
    lines = [tuple(map(printable, row)) for row in rows]
    if _a_line_each(console.width, headings, lines):
        # Rich lays every cell out by itself: thousands of rows take seconds. A single row whose cells have a line for
        # each of ours looks the same.
        lines = [tuple(map("\n".join, zip(*lines, strict=True)))]
    for line in lines:
        table.add_row(*map(Text, line))
    console.print(table)


def _a_line_each(width: int, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether no cell of the table, which has a border and two blanks for each column, takes more than one line."""
    columns = list(zip(headings, *rows, strict=True))
    needed = 1 + sum(3 + max(map(cell_len, column)) for column in columns)
    return bool(rows) and needed <= width and not any(set(cell) & {"\n", "\t"} for row in rows for cell in row)
