"""`check-plugin`."""

import click

from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion


@click.command("check-plugin")
@click.argument("file", metavar="FILE", shell_complete=completion.files)
@click.option("--data-root", metavar="FOLDER", help="Where the data sets of the plug-in lie.")
def check_plugin(file: str, data_root: str | None) -> None:
    """Try what a plug-in brings: its methods, backbones and data sets, on small made-up images."""
    from orchestrator.plugin_check import check

    failed = 0
    for finding in check(file, data_root):
        failed += bool(finding.problem)
        say(f"{'FAILED' if finding.problem else 'ok':6}  {finding.subject}: {finding.claim}")
        if finding.problem:
            say(f"        {finding.problem}")
    if failed:
        say(f"{failed} of what must hold {'does' if failed == 1 else 'do'} not", err=True)
        raise SystemExit(1)
