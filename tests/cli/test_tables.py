"""A table on the terminal looks as rich lays it out row by row, however wide the terminal is."""

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.cli.tables import print_table

HEADINGS = ("job", "state", "accuracy [%]")
ROWS = [
    ("abd · 5 tasks · seed 0", "done", "43.9"),
    ("画像 · 5 tasks · seed 10", "", "[bold]43[/bold]"),
    ("", "running", ""),
]


def by_rich(rows, capsys):
    table = Table(*map(escape, HEADINGS))
    for row in rows:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [24, 60, 200])
@pytest.mark.parametrize(
    "rows", [ROWS, ROWS[:1], [], [*ROWS, ("two\nlines", "a\ttab", "1")], [*ROWS, ("\ue000", "", "")]]
)
@pytest.mark.parametrize("colours", [False, True])
def test_a_row_looks_as_it_would_by_itself(rows, width, colours, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    expected = by_rich(rows, capsys)
    print_table(HEADINGS, rows)
    assert capsys.readouterr().out == expected
