"""`sync`."""

from functools import partial

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion


@click.command()
@click.argument("sweep", shell_complete=completion.sweeps)
@options.runs
@options.device
@options.tracking_uri
@options.experiment
@options.log_models
def sync(
    sweep: str, runs: str | None, device: str, tracking_uri: str | None, experiment: str | None, log_models: bool
) -> None:
    """Deliver SWEEP (a name, or a spec file) to the tracking store again: only what is missing there is sent."""
    from orchestrator.cluster.device import device_of_results
    from orchestrator.store import sweep_folder
    from orchestrator.store.recorded_plan import require_own_methods
    from orchestrator.tracking import sync as deliver
    from reports.artifacts import FIGURES, result_tables

    folder = sweep_folder.runs_folder(runs)
    plan = sweep_folder.find(folder, sweep, device_of_results(device))
    if log_models:
        require_own_methods(plan)
    texts = partial(result_tables, plan.spec)
    count = deliver(plan, folder, tracking_uri, experiment, texts=texts, log_models=log_models, figures=FIGURES)
    say(f"{count} jobs are in the tracking store")
