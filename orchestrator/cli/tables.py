"""A table on the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.text import printable


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print the rows under the headings, as wide as the terminal."""
    table = Table(*map(_shown, headings))
    for row in rows:
        table.add_row(*map(_shown, row))
    Console(highlight=False).print(table)


def _shown(text: str) -> str:
    return escape(printable(text))
