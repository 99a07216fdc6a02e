"""A table on the terminal looks as rich lays it out row by row, however wide the terminal is, and loses nothing."""

import pytest
from rich.cells import cell_len
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


def by_rich(rows, width, capsys):
    names = max(cell_len(name) for name in (HEADINGS[0], *(row[0] for row in rows)))
    table = Table()
    for heading in HEADINGS:
        table.add_column(escape(heading), overflow="fold", no_wrap=heading == "job" and names <= width / 2)
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
    expected = by_rich(rows, width, capsys)
    print_table(HEADINGS, rows)
    assert capsys.readouterr().out == expected


DATA = [("fashion-mnist", "28x28 grey pictures of clothes", "a folder"), ("digits", "in scikit-learn", "nothing")]


def cells(out):
    """The words of each column, put together again."""
    lines = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in out.splitlines()]
    return ["".join(column) for column in zip(*(line for line in lines if len(line) == 3), strict=True)]


@pytest.mark.parametrize("width", [20, 30, 40, 60])
def test_in_a_narrow_terminal_nothing_is_cut_off(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(("name", "what", "needs"), DATA)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width and "…" not in out
    columns = zip(("name", "what", "needs"), *DATA, strict=True)
    assert [cell.replace(" ", "") for cell in cells(out)] == ["".join(column).replace(" ", "") for column in columns]
    assert ("fashion-mnist" in out) == (width >= 26)
