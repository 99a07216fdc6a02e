"""`doctor`."""

import json
import sys
from pathlib import Path

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say


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
            say(f"{finding.state:<8} {finding.name}: {finding.found}")
            if finding.remedy:
                say(f"         -> {finding.remedy}")
        count = sum(finding.state == "problem" for finding in found)
        say(f"\n{count} to be mended before a launch" if count else "\nready")
    sys.exit(any(finding.state == "problem" for finding in found))
