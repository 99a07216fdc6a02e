"""The pages of the site that are made from the program: commands, methods, measures, and the README as the start."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from dfcil_core.measures import MEASURES
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from orchestrator.cli import cli
from orchestrator.cli.methods import _as_yaml, _needs
from orchestrator.schema.explained import explained

_WIDTH = 100


def all_pages(root: Path) -> dict[str, str]:
    """Address of each page that is made to its markdown; `root` is the repository."""
    measured = (root / "docs" / "methods.md").read_text()
    pages = {
        "index.md": start((root / "README.md").read_text()),
        "commands.md": commands(),
        "measures.md": measures(),
        "method/index.md": list_of_methods(),
    }
    return pages | {f"method/{name}.md": method_page(method, measured) for name, method in METHODS.items()}


def start(readme: str) -> str:
    """The README, its links seen from within docs/; what lies outside is named by its path alone."""
    inside = re.sub(r"\]\(docs/([^)]*)\)", r"](\1)", readme)
    return re.sub(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)(?![\w-]*\.md|images/)[^)]*\)", r"\1", inside)


def commands() -> str:
    """Every command with its help, as the terminal prints it."""
    parts = ["# Commands", "", "Each as `dfcil-sweep COMMAND --help` prints it.", ""]
    for name, command in _commands(cli, "dfcil-sweep"):
        context = click.Context(command, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH)
        parts += [f"## {name}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(parts)


def _commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group, info_name=prefix)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix} {name}")


def measures() -> str:
    """Every measure with its formula and its source."""
    text = ["# Measures", "", "`a(t,j)` is the accuracy on task j after task t of T, in percent.", ""]
    for name, measure in MEASURES.items():
        text += [f"## {measure.title}", "", f"`report --metric {name}`: {measure.brief}.", "", measure.formula, ""]
        better = "Higher is better." if measure.higher_is_better else "Lower is better."
        told = [f"{measure.column[0].upper()}{measure.column[1:]}.", better]
        if measure.logged:
            told.append(f"In MLflow: `{measure.logged}`.")
        if measure.objective:
            told.append(f"In `tune:`: `{measure.objective}`.")
        if measure.source:
            told.append(f"Source: {measure.source}.")
        text += [" ".join(told), ""]
    return "\n".join(text)


def list_of_methods() -> str:
    rows = [f"| [{name}]({name}.md) | {_needs(method)} | {method.summary} |" for name, method in METHODS.items()]
    return "\n".join(["# Each method", "", "| method | needs | what it does |", "| --- | --- | --- |", *rows, ""])


def method_page(method: type[Method], measured: str) -> str:
    """One method: what it says of itself, its settings, and its rows of the tables in `measured` (docs/methods.md)."""
    text = [f"# {method.name}", "", f"{method.summary[0].upper()}{method.summary[1:]}. Needs: {_needs(method)}.", ""]
    text += [inspect.getdoc(method) or "", "", f"Source: {method.source}.", "", "## Settings", ""]
    fields, texts = dataclasses.fields(method.settings_type), explained(method.settings_type)
    if fields:
        text += ["| setting | default | |", "| --- | --- | --- |"]
        text += [f"| `{f.name}` | `{_as_yaml(f.default)}` | {texts.get(f.name, '')} |" for f in fields]
    else:
        text.append("None of its own.")
    text += ["", "## Measured", ""]
    for heading, header, row in _rows(measured, method.name):
        text += [f"{heading} (see [methods](../methods.md)):", "", header, re.sub(r"[^|]+", " --- ", header), row, ""]
    return "\n".join(text)


def _rows(page: str, name: str) -> Iterator[tuple[str, str, str]]:
    """Of every table of measured figures in a page: the heading above it, its header, and the row of a method."""
    heading = header = before = ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif re.match(r"\| ?-+", line):
            header = before
        elif re.match(rf"\| {re.escape(name)}( \(.*\))? \| \d", line) and "not measured" not in heading:
            yield heading, header, line
        before = line
