"""A table on the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows under the headings, as wide as the terminal."""
    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
