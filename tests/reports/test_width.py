"""A table for the terminal fits into its lines: columns below one another, captions broken between words."""

import pytest

from reports.frame import frame_of
from reports.published import comparable
from reports.tables.fold import fold
from reports.tables.render import render
from tests.support.reported import on_cifar


def shown(width, metric="final", published=False):
    jobs = on_cifar() if metric == "final" else on_cifar((5,))
    figures = comparable(jobs, ("final",))[0] if published else None
    note = "a-name-of-a-job-that-is-longer-than-any-line-of-the-terminal-and-has-no-blank-in-it-at-all is missing"
    return render(frame_of(jobs), "terminal", metric, published=figures, notes=(note,), width=width)


def test_columns_are_dealt_in_order_and_none_is_lost():
    assert fold("abcd", [3, 3, 5, 9], 6) == [["a", "b"], ["c"], ["d"]]
    assert fold("ab", [3, 3], 100) == [["a", "b"]]
    assert fold("", [], 10) == [[]]


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize("published", [False, True])
def test_no_line_is_longer_than_the_terminal(width, published):
    lines = shown(width, published=published).splitlines()
    table = [line for line in lines if line[:1] in "┏┃┡│├└"]
    assert max(map(len, table)) <= max(width, 68 if published else 0)  # a method and what was published need 68
    assert all(len(line) <= width or " " not in line for line in lines if line not in table)


def test_published_figures_of_three_splits_read_in_eighty_columns():
    lines = shown(80, published=True).splitlines()
    assert max(map(len, lines[:40])) <= 80
    rows = [line for line in lines if "  abd " in line]
    assert len(rows) == 3 and all("[" in row and "]" in row for row in rows)  # a table a split, each with the figures
    whole = shown(None, published=True).splitlines()
    assert len([line for line in whole if "  abd " in line]) == 1


def test_no_word_of_a_caption_is_broken():
    words = shown(None).splitlines()[-2].split()
    caption = shown(60).split("┘")[-1].split()
    assert caption[: len(words)] == words


def test_every_cell_is_in_one_line():
    whole, narrow = (shown(width, ("final", "average", "forgetting", "bwt", "local")) for width in (None, 60))
    row = next(line for line in whole.splitlines() if "  abd " in line)
    cells = [cell.strip() for cell in row.split("│")[2:-1]]
    assert len(cells) == 5 and all(any(cell in line for line in narrow.splitlines()) for cell in cells)
