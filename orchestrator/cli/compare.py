"""`compare`."""

import click

from dfcil_core.measures import MEASURES
from orchestrator.cli import options
from orchestrator.cli.terminal import line_width, say
from orchestrator.cli.usage import completion


@click.command()
@click.argument("a", shell_complete=completion.sweeps)
@click.argument("b", shell_complete=completion.sweeps)
@options.runs
@click.option(
    "--runs-b",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Folder of all results of B, where it is not that of A.",
)
@options.device
@click.option("--tracking-uri", metavar="URI", help="Read from this MLflow tracking store, not from the runs folder.")
@click.option(
    "--metric", type=click.Choice(list(MEASURES)), default="final", show_default=True, help="What is compared."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "csv", "json"]),
    default="terminal",
    show_default=True,
    help="csv: a row a job, unrounded.",
)
@click.option("--exit-code", is_flag=True, help="End with status 1 unless all is identical: a check for scripts.")
def compare(
    a: str,
    b: str,
    runs: str | None,
    runs_b: str | None,
    device: str,
    tracking_uri: str | None,
    metric: str,
    form: str,
    exit_code: bool,
) -> None:
    """Compare sweeps A and B job by job: B minus A, paired over seeds, with 95% t intervals.

    A and B are names, NAME@COMMIT for what was computed at a commit, or spec files.
    """
    import sys

    from orchestrator.cli import sources
    from reports.compare import compare as compared
    from reports.tables.comparison import render

    first = sources.read(runs, [a], device, tracking_uri)
    second = sources.read(runs_b or runs, [b], device, tracking_uri)
    sources.warn_of_damage(first + second)
    found = compared(first[0].jobs, second[0].jobs, metric)
    say(render(found, form, line_width()), nl=False, styled=True)
    if exit_code and not found.identical:
        sys.exit(1)
