"""`ui` and `sync`: the MLflow side."""

import os
import signal
import subprocess
import sys
from functools import partial

import click

from orchestrator.cli import options


@click.command()
@click.argument("sweep", required=False)
@options.runs
@options.tracking_uri
@options.experiment
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="If taken, a free one is used."
)
@click.option("--open/--no-open", "opens", default=True, help="Open a browser.")
def ui(sweep, runs, tracking_uri, experiment, port, opens) -> None:
    """Show SWEEP (or all) in the MLflow UI, served on 127.0.0.1 until Ctrl-C."""
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from orchestrator.tracking import tracking_uri as resolve
    from orchestrator.tracking.delivered import experiment_name
    from orchestrator.tracking.environment import server_environment
    from orchestrator.tracking.ui import free_port, is_server, ui_address, ui_command

    runs = sweep_folder.runs_folder(runs)
    name = sweep
    if sweep and sweep_folder.looks_like_a_file(sweep):
        from orchestrator.spec.load import load_spec

        name = load_spec(sweep).name
    if not tracking_uri and not os.environ.get("MLFLOW_TRACKING_URI") and not (runs / "mlflow.db").exists():
        raise UserError(f"nothing is tracked in {runs} yet: launch a sweep first, or choose another folder with --runs")
    uri = resolve(runs, tracking_uri)
    experiment = experiment_name(runs, name, experiment) if name else None
    if is_server(uri):
        click.echo(ui_address(uri, port, name, experiment))
        return
    port = free_port(port)
    address = ui_address(uri, port, name, experiment)
    click.echo(f"{address}\nCtrl-C stops the server")
    _serve(ui_command(runs, uri, port), server_environment(), address if opens else None)


def _serve(command: list[str], environment: dict[str, str], opened: str | None) -> None:
    """Run the server until it ends, or Ctrl-C or SIGTERM ends it with us: no server is left behind."""

    def stop(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    server = subprocess.Popen(command, env=environment)
    try:
        if opened:
            click.launch(opened)
        sys.exit(server.wait())
    except KeyboardInterrupt:
        server.terminate()
        server.wait(timeout=10)
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command()
@click.argument("sweep")
@options.runs
@options.device
@options.tracking_uri
@options.experiment
@options.log_models
def sync(sweep, runs, device, tracking_uri, experiment, log_models) -> None:
    """Deliver SWEEP (a name, or a spec file) to the tracking store again: only what is missing there is sent."""
    from orchestrator.cluster.device import device_kind
    from orchestrator.store import sweep_folder
    from orchestrator.tracking import sync as deliver
    from reports.artifacts import FIGURES, result_tables

    runs = sweep_folder.runs_folder(runs)
    plan = sweep_folder.find(runs, sweep, device_kind(device))
    texts = partial(result_tables, plan.spec)
    count = deliver(plan, runs, tracking_uri, experiment, texts=texts, log_models=log_models, figures=FIGURES)
    click.echo(f"{count} jobs are in the tracking store")
