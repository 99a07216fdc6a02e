"""`logs`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.text import readable

if TYPE_CHECKING:
    from orchestrator.plan.plan import Job, Plan

_MOST = 4 * 2**20  # bytes of a log


@click.command()
@click.argument("job", shell_complete=completion.jobs)
@options.runs
@click.option(
    "--sweep",
    metavar="NAME",
    shell_complete=completion.sweep_names,
    help="The sweep that the job is of. Default: any that has such a job.",
)
@click.option("--tail", type=click.IntRange(min=1), metavar="N", help="Only the last N lines of each stage.")
@click.option("--paths", is_flag=True, help="Print where the logs lie, not what they say.")
def logs(job: str, runs: str | None, sweep: str | None, tail: int | None, paths: bool) -> None:
    """Print what the stages of JOB printed, in order, such as JOB abd-5-s0 or "abd · 5 tasks · seed 0".

    A stage that several jobs share has one log, and so has one that several sweeps share.
    """
    from orchestrator.store import sweep_folder
    from orchestrator.store.store import Store

    folder = sweep_folder.runs_folder(runs)
    plan, found = _find_job(folder, job, sweep)
    options.say_notes(plan)
    store = Store(folder)
    for stage in (plan.stages[key] for key in dict.fromkeys(found.stages)):
        path = store.log(stage)
        if paths:
            say(str(path))
            continue
        state = "done" if store.has(stage) else "not done"
        say(f"==> {stage} ({state}): {path}")
        if not path.is_file():
            say("    this is no file: remove it" if path.exists() else "    nothing was printed here")
            continue
        lines = _end(path).splitlines()
        for line in lines[-tail:] if tail else lines:
            say(line)


def _end(path: Path) -> str:
    """The text of a log; of one that is huge, or damaged so that it is, the end."""
    with path.open("rb") as log:
        left_out = max(os.fstat(log.fileno()).st_size - _MOST, 0)
        log.seek(left_out)
        text = log.read(_MOST).decode(errors="replace")
    if left_out:
        say(f"    only the last {readable(_MOST)} are shown here")
    return text


def _find_job(runs: Path, name: str, sweep: str | None) -> "tuple[Plan, Job]":
    """The plan and the job that `name` means. Raises UserError where none is called so, or several that differ are."""
    from orchestrator.errors import UserError, choices
    from orchestrator.store import sweep_folder

    if sweep:
        plans = [sweep_folder.load(runs, sweep)]
    else:
        plans = list(sweep_folder.load_each(runs, sweep_folder.names(runs), options.say_damaged))
    found = [(plan, job) for plan in plans for job in plan.jobs if name in (job.slug, job.name)]
    if not found:
        slugs = list(dict.fromkeys(job.slug for plan in plans for job in plan.jobs))
        known = choices(name, slugs[:50]) if slugs else "None was launched yet"
        raise UserError(f"no job '{name}' in {runs}. {known}. (--runs or DFCIL_RUNS chooses the runs folder)")
    if len({job.stages for _, job in found}) > 1:
        named = ", ".join(plan.spec.name for plan, _ in found)
        raise UserError(f"several sweeps have a job '{name}': {named}. Say which one with --sweep")
    return found[0]
