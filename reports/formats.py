"""The formats of a report by name: one entry is a format, and `report --format` follows. Loads no pandas and no jinja.

To add a format, `register` a function from a Content to text.
"""

from collections.abc import Callable
from dataclasses import dataclass

from reports.content import Content


@dataclass(frozen=True)
class Format:
    """A format: `write` makes the text of a file, or of the terminal."""

    name: str
    write: Callable[[Content], str]
    about: str = ""
    """What a reader of `report --help` must know of it; empty: nothing."""
    any_cells: bool = False
    """Whether it takes several measures of several splits; a table for people has one or the other as its columns."""


FORMATS: dict[str, Format] = {}
"""By name, in the order in which they are offered."""


def register(form: Format) -> Format:
    """Add a format. Raises ValueError for a name that is taken."""
    if form.name in FORMATS:
        raise ValueError(f"there is a format {form.name} already")
    FORMATS[form.name] = form
    return form


def _terminal(content: Content) -> str:
    from reports.tables.text import terminal

    return terminal(content.table, content.width)


def _markdown(content: Content) -> str:
    from reports.tables.text import markdown

    return markdown(content.table)


def _latex(content: Content) -> str:
    from reports.tables.latex import latex

    return latex(content.table, content.paper)


def _csv(content: Content) -> str:
    from reports.tables.csv_json import csv

    return csv(content.table, content.frame)


def _html(content: Content) -> str:
    from reports.page.page import page

    return page(content)


def _json(content: Content) -> str:
    from reports.tables.csv_json import json_text

    return json_text(content.table, content.frame)


register(Format("terminal", _terminal))
register(Format("markdown", _markdown))
register(Format("latex", _latex))
register(Format("csv", _csv, "csv is unrounded, a row a cell", any_cells=True))
register(Format("html", _html, "html is a page with figures and provenance", any_cells=True))
register(Format("json", _json, any_cells=True))
