"""`ui`."""

import os
import subprocess
import sys

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say


@click.command()
@click.argument("sweep", required=False)
@options.runs
@options.tracking_uri
@options.experiment
@click.option(
    "--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="If taken, a free one is used."
)
@click.option("--open/--no-open", "opens", default=True, help="Open a browser.")
def ui(
    sweep: str | None, runs: str | None, tracking_uri: str | None, experiment: str | None, port: int, opens: bool
) -> None:
    """Show SWEEP (or all) in the MLflow UI, served on 127.0.0.1 until Ctrl-C."""
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from orchestrator.tracking import tracking_uri as resolve
    from orchestrator.tracking.delivered import experiment_name
    from orchestrator.tracking.environment import server_environment
    from orchestrator.tracking.moved import settle
    from orchestrator.tracking.ui import free_port, is_server, ui_address, ui_command
    from orchestrator.tracking.uri import DATABASE

    folder = sweep_folder.runs_folder(runs)
    name = sweep
    if sweep and sweep_folder.looks_like_a_file(sweep):
        from orchestrator.spec.load import load_spec

        name = load_spec(sweep).name
    if not tracking_uri and not os.environ.get("MLFLOW_TRACKING_URI") and not (folder / DATABASE).exists():
        raise UserError(
            f"nothing is tracked in {folder} yet: launch a sweep first, or choose another folder with --runs"
        )
    try:
        settle(folder)
    except OSError as error:
        raise UserError(
            f"{folder} was moved or copied, and its addresses of artifacts cannot be corrected: {error}"
        ) from error
    uri = resolve(folder, tracking_uri)
    experiment = experiment_name(folder, name, experiment) if name else None
    if is_server(uri):
        say(ui_address(uri, port, name, experiment))
        return
    port = free_port(port)
    address = ui_address(uri, port, name, experiment)
    say(f"{address}\nCtrl-C stops the server")
    _serve(ui_command(folder, uri, port), server_environment(uri), address if opens else None)


def _serve(command: list[str], environment: dict[str, str], opened: str | None) -> None:
    """Run the server until it ends, or we are told to stop and end it with us: no server is left behind."""
    from orchestrator.signals import interrupts_deferred, terminable

    with terminable():
        server = subprocess.Popen(command, env=environment)
        try:
            if opened:
                click.launch(opened)
            sys.exit(server.wait())
        except KeyboardInterrupt:
            with interrupts_deferred():
                server.terminate()
                server.wait(timeout=10)
