"""`cancel`."""

import time
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion

if TYPE_CHECKING:
    from orchestrator.store.launchers import Launcher


@click.command()
@click.argument("sweep", shell_complete=completion.sweep_names)
@options.runs
@click.option("--wait/--no-wait", "waits", default=True, help="Wait until the launcher has ended.")
def cancel(sweep: str, runs: str | None, waits: bool) -> None:
    """Ask the launchers at work on SWEEP (a name) to stop, as Ctrl-C would: what is finished stays.

    Unfinished jobs become KILLED in MLflow. Launch again to go on.
    """
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from orchestrator.store.launchers import living

    folder = sweep_folder.runs_folder(runs)
    if sweep not in sweep_folder.names(folder):
        sweep_folder.load(folder, sweep)  # says what is wrong with the name
    launchers = living(sweep_folder.sweep_folder(folder, sweep))
    if not launchers:
        raise UserError(f"no launcher is at work on '{sweep}' in {folder}: there is nothing to cancel")
    for launcher in launchers:
        launcher.ask_to_stop()
        say(f"asked {launcher} to stop")
    for launcher in launchers if waits else ():
        _wait_for(launcher)


def _wait_for(launcher: "Launcher") -> None:
    from orchestrator.errors import UserError
    from orchestrator.store.lease import Leases, Watch

    watch, leases = Watch(), Leases(launcher.folder)
    while not launcher.gone():
        holder = leases.read(launcher.id)
        if holder is not None and watch.is_stale(launcher.id, holder):
            raise UserError(
                f"{launcher} gives no sign of life: if it is gone, its stages are free to be taken over by now"
            )
        time.sleep(0.1)
    say(f"{launcher} has stopped")
