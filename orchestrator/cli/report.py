"""`report`."""

import click

from orchestrator.cli import options


@click.command()
@click.argument("sweep")
@options.runs
@options.device
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "csv"]),
    default="terminal",
    show_default=True,
    help="How the table is written; csv is unrounded, a row a cell.",
)
@click.option(
    "--metric",
    type=click.Choice(["final", "average", "forgetting"]),
    default="final",
    show_default=True,
    help="final: accuracy after the last task; average: its mean over all tasks; forgetting: what was lost since.",
)
@click.option(
    "--ddof",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="1: sample standard deviation; 0: the population's, which the published tables give.",
)
def report(sweep, runs, device, form, metric, ddof) -> None:
    """Print the table of SWEEP (a name, or a spec file): methods by splits, mean ± std (n) over seeds."""
    from orchestrator import sweep_folder
    from orchestrator.derive import complete
    from orchestrator.device import device_kind
    from orchestrator.results import job_results
    from orchestrator.store import Store
    from reports.results import frame
    from reports.tables import render

    runs = sweep_folder.runs_folder(runs)
    plan = sweep_folder.find(runs, sweep, device_kind(device))
    store = Store(runs)
    damaged: list[str] = []
    records = store.records(plan.stages.values(), lambda stage, why: damaged.append(f"{stage.folder}: {why}"))
    for text in damaged:
        click.echo(f"warning: left out, damaged: {text}", err=True)
    complete(plan, plan.jobs, store, records)
    click.echo(render(frame(plan.spec, job_results(plan, records)), form, metric, ddof), nl=False)
