"""`tune`."""

import sys
from typing import Any

import click

from orchestrator.cli import options
from orchestrator.cli.next_steps import after_tuning
from orchestrator.cli.terminal import say


@click.command()
@options.sweep
@options.tracking_uri
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="Trials in all. Default: the spec's.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="MINUTES", help="Begin no trial after this time.")
@click.option("--storage", metavar="URL", help="Optuna storage. Default: a journal file in the runs folder.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Trials at a time. Default: one a core, or slot.")
@click.option("--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Trials at a time on a GPU.")
@options.gpus
@options.capture
@options.notify
@options.elsewhere
@click.option("--show", is_flag=True, help="Print the state, the best trials and what mattered, and stop.")
def tune(spec: str, show: bool, **told: Any) -> None:
    """Search better settings for SPEC's method, as its `tune:` section says, on held-out training images.

    Give the same command again to go on where the tuner stopped, and several times at once, here or on machines that
    share the runs folder, to have the trials shared. The best settings are run on fresh seeds and
    other held-out images against the published one, and the winner is written as a spec.
    """
    from orchestrator.tune import study_text
    from orchestrator.tune import tune as search

    if show:
        asked = {name: told[name] for name in (*options.SWEEP, "trials", "storage")}
        say(study_text(spec, **asked))
        return
    try:
        outcome = search(spec, say=say, **told)
    except KeyboardInterrupt:
        options.say_stopped(told["runs"])
        sys.exit(130)
    for line in after_tuning(outcome, spec, told):
        say(line)
    sys.exit(1 if outcome.failed else 0)
