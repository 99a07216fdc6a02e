"""`cancel`."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion

if TYPE_CHECKING:
    from orchestrator.store.process import Process


@click.command()
@click.argument("sweep", shell_complete=completion.sweeps_and_studies)
@options.runs
@click.option("--wait/--no-wait", "waits", default=True, help="Wait until they have ended.")
def cancel(sweep: str, runs: str | None, waits: bool) -> None:
    """Ask the launchers at work on SWEEP (a name, a study's, or a spec file) to stop, as Ctrl-C would.

    What is finished stays, and unfinished jobs become KILLED in MLflow. Launch again to go on. Of a study it asks the
    tuners.
    """
    from orchestrator.store import sweep_folder

    processes = _at_work(sweep_folder.runs_folder(runs), sweep)
    for process in processes:
        process.ask_to_stop()
        say(f"asked {process} to stop")
    for process in processes if waits else ():
        _wait_for(process)


def _at_work(runs: Path, name: str) -> "Sequence[Process]":
    """The launchers of the sweep of that name, or the tuners of the study. Raises UserError where there are none.

    A spec file stands for its name.
    """
    from orchestrator.cli import studies
    from orchestrator.errors import UserError
    from orchestrator.spec.load import load_spec
    from orchestrator.store import sweep_folder
    from orchestrator.store.launchers import living

    found: Sequence[Process]
    name = load_spec(name).name if sweep_folder.looks_like_a_file(name) else name
    if tuned := studies.instead_of_a_sweep(runs, name):
        who, found = "tuner", [tuner for study in tuned for tuner in study.tuners()]
    else:
        sweep_folder.require(runs, name)
        who, found = "launcher", living(sweep_folder.sweep_folder(runs, name))
    if not found:
        raise UserError(f"no {who} is at work on '{name}' in {runs}: there is nothing to cancel")
    return found


def _wait_for(process: "Process") -> None:
    from orchestrator.errors import UserError
    from orchestrator.store.lease import Watch

    watch = Watch()
    while not process.gone():
        holder = process.now()
        if holder is not None and watch.is_stale(process.id, holder):
            raise UserError(
                f"{process} gives no sign of life: if it is gone, what it had is free to be taken over by now"
            )
        time.sleep(0.1)
    say(f"{process} has stopped")
