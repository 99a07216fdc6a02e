"""`doctor`."""

import json
import sys
import textwrap
from pathlib import Path

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import line_width, say

_INDENT = " " * 9


@click.command()
@options.runs
@options.data_root
@click.option("--network/--no-network", default=True, help="Ask the servers that data sets are downloaded from.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(runs: str | None, data_root: str | None, network: bool, as_json: bool) -> None:
    """Tell whether this machine is ready: Python, packages, device, cores, disk, data, tracking, cluster, network.

    For each what was found, and what to do. Exit status 1 where a launch would fail.
    """
    from orchestrator.doctor import Asked, examine
    from orchestrator.store import sweep_folder

    root = Path(data_root or "data").expanduser().absolute()
    found = examine(Asked(sweep_folder.runs_folder(runs), root, network))
    if as_json:
        say(json.dumps([finding.to_json() for finding in found], indent=1, ensure_ascii=False))
    else:
        for finding in found:
            say(_wrapped(f"{finding.state:<8} {finding.name}: {finding.found}"))
            if finding.remedy:
                say(_wrapped(f"{_INDENT}-> {finding.remedy}"))
        count = sum(finding.state == "problem" for finding in found)
        say(f"\n{count} to be mended before a launch" if count else "\nready")
    sys.exit(any(finding.state == "problem" for finding in found))


def _wrapped(text: str) -> str:
    """Over several lines where a terminal is narrow, none of them broken within a word or an address."""
    if (width := line_width()) is None:
        return text
    filled = textwrap.TextWrapper(width, subsequent_indent=f"{_INDENT}   ", break_long_words=False)
    filled.break_on_hyphens = filled.replace_whitespace = False
    return filled.fill(text)
