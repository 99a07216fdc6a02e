"""`ui`."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion

if TYPE_CHECKING:
    from orchestrator.tracking.ui import Page

_PATIENCE = 10.0  # seconds in which the server is to end when it is asked to


@click.command()
@click.argument("sweep", required=False, shell_complete=completion.sweeps_and_studies)
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
    """Show SWEEP, or a study (or all), in the MLflow UI, served on 127.0.0.1 until Ctrl-C.

    The first page has the means over seeds, a line for each method and split; others are printed below its address.
    """
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from orchestrator.tracking import tracking_uri as resolve
    from orchestrator.tracking.delivered import experiment_name
    from orchestrator.tracking.environment import server_environment
    from orchestrator.tracking.moved import settle
    from orchestrator.tracking.ui import EXPERIMENTS, free_port, is_server, log_file, ui_command, ui_pages
    from orchestrator.tracking.uri import DATABASE
    from orchestrator.tuning.studies import called

    folder = sweep_folder.runs_folder(runs)
    name = sweep
    if sweep and sweep_folder.looks_like_a_file(sweep):
        from orchestrator.spec.load import load_spec

        name = load_spec(sweep).name
    elif sweep:
        name = next((kept.spec_name for kept in called(folder, sweep)), sweep)
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
    port = port if is_server(uri) else free_port(port)
    pages = ui_pages(uri, port, name, experiment)
    if name and pages[0].title == EXPERIMENTS:
        _require(folder, name)
    if is_server(uri):
        _tell(pages)
        return
    _serve(ui_command(folder, uri, port), server_environment(uri), log_file(folder, port), pages, port, opens)


def _require(runs: Path, name: str) -> None:
    """Raise UserError unless it is a sweep or a study of this runs folder, which may have nothing tracked yet."""
    from orchestrator.store import sweep_folder
    from orchestrator.tuning.studies import studies

    sweep_folder.require(runs, name, [kept.spec_name for kept in studies(runs)])


def _tell(pages: "Sequence[Page]") -> None:
    """The addresses: the first by itself, the others below it with what they show."""
    say(pages[0].address)
    for page in pages[1:]:
        say(f"  {page.title}: {page.address}")


def _serve(
    command: list[str], environment: dict[str, str], log: Path, pages: "Sequence[Page]", port: int, opens: bool
) -> None:
    """Run the server until it ends, or we are told to stop and end it with us: no server is left behind."""
    from orchestrator.errors import UserError
    from orchestrator.signals import interrupts_deferred, terminable
    from orchestrator.tracking.ui import answers

    with terminable(), log.open("wb") as output:
        say(f"MLflow's server starts; its log: {log}", err=True)
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            while not answers(port):
                if server.poll() is not None:
                    raise UserError(f"MLflow's server ended before it answered. What it said: {log}")
                time.sleep(0.1)
            _tell(pages)
            say("Ctrl-C stops the server")
            if opens:
                click.launch(pages[0].address)
            sys.exit(server.wait())
        except KeyboardInterrupt:
            return
        finally:
            with interrupts_deferred():
                _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    """End the server, with its own processes where it does not do so in time."""
    import psutil

    if server.poll() is not None:
        return
    family = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    try:
        server.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.kill()
        server.wait()
