"""`status`, `logs` and `cancel`: a sweep that is, or was, at work."""

import sys
import time

import click

from orchestrator.cli import options
from orchestrator.text import counted, duration


@click.command()
@click.argument("sweep", required=False)
@options.runs
@options.device
@click.option("--watch", is_flag=True, help="Show it anew until the sweep is over, or Ctrl-C.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between looks of --watch."
)
def status(sweep, runs, device, watch, every) -> None:
    """Tell how SWEEP (a name, or a spec file) stands; without one, all sweeps of the runs folder.

    Its jobs by state, the stages at work and since when, what failed and where its log lies, and the time left.
    """
    from orchestrator.cluster.device import device_kind
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder

    runs = sweep_folder.runs_folder(runs)
    if sweep:
        _one(runs, sweep_folder.find(runs, sweep, device_kind(device)), every if watch else None)
        return
    if watch:
        raise UserError("--watch looks at one sweep: give its name, or its spec file")
    names = sweep_folder.names(runs)
    if not names:
        click.echo(f"no sweep was launched in {runs} yet")
    for name in names:
        plan = sweep_folder.load(runs, name)
        click.echo(_how_far(plan, _present(runs, plan)))


def _present(runs, plan) -> set[str]:
    from orchestrator.store.store import Store

    return Store(runs).finished(plan.stages.values())


def _how_far(plan, present) -> str:
    done = sum(present >= set(job.stages) for job in plan.jobs)
    jobs, stages = counted(len(plan.jobs), "job"), counted(len(plan.stages), "stage")
    return f"{plan.spec.name}: {done} of {jobs} done, {len(present)} of {stages}"


def _one(runs, plan, every: float | None) -> None:
    from orchestrator.status import read_state
    from orchestrator.store.store import Store

    records: dict[str, dict] = {}
    damaged: dict[str, str] = {}
    while True:
        missing = [stage for key, stage in plan.stages.items() if key not in records]
        found = Store(runs).records(missing, lambda stage, why: damaged.update({stage.folder: why}))
        records |= found
        state = read_state(runs, plan, records)
        if every is not None and sys.stdout.isatty():
            click.clear()
        _show(state)
        for folder, why in damaged.items():
            click.echo(f"damaged: {folder}: {why}", err=True)
        if every is None or state.over:
            return
        damaged.clear()
        time.sleep(every)


def _show(state) -> None:
    from rich.console import Console
    from rich.table import Table

    from orchestrator.results.job_result import job_result

    click.echo(_how_far(state.plan, set(state.records)))
    for line in _lines(state):
        click.echo(line)
    table = Table("job", "state", "stages", "accuracy")
    for job in state.plan.jobs:
        result = job_result(job, state.records)
        rows = [row for row in result.matrix if row is not None]
        accuracy = f"{sum(rows[-1]) / len(rows[-1]):.1f}% after task {len(rows[-1])}" if rows else ""
        table.add_row(job.name, state.of(job), f"{len(result.records)}/{len(set(job.stages))}", accuracy)
    Console(highlight=False).print(table)


def _lines(state):
    """What there is to say of a sweep beside its jobs."""
    from orchestrator.status import DONE, STATES

    jobs = state.jobs()
    yield "jobs: " + ", ".join(f"{jobs[name]} {name}" for name in STATES if jobs[name])
    for launcher in state.launchers:
        at_a_time = f"{counted(launcher.workers, 'stage')} at a time"
        told = f"launcher: {launcher}, since {_moment(launcher.holder.since)}, {at_a_time}"
        yield told + _silence(state, launcher.holder, "launch again to go on without it")
    for key, holder in state.running.items():
        where = f"on {holder.host} (process {holder.pid})"
        told = f"running: {state.plan.stages[key]} {where} since {_moment(holder.since)}"
        yield told + _silence(state, holder, "a launcher that needs the stage takes it over")
    for key, failure in state.failures.items():
        needing = ", ".join(state.plan.jobs[position].name for position in state.plan.users[key])
        yield f"failed: {failure.stage}: {failure.error}"
        yield f"  log: {failure.log}"
        yield f"  needed by: {needing}"
    if state.failures:
        yield "failed stages are started again by `dfcil-sweep launch` with --retry-failed"
    if state.saved:
        yield f"sharing has saved {counted(state.saved, 'stage')}, {duration(state.saved_seconds)}"
    if state.launchers and state.seconds_left is not None:
        yield f"time left: {duration(state.seconds_left)}"
    elif state.launchers and not state.over:
        yield "time left: not known yet, no stage of some kind has finished"
    elif jobs.keys() - {DONE} and not state.running:
        yield "no launcher is at work on it"


def _silence(state, holder, remedy: str) -> str:
    seconds = state.silent.get(holder.token)
    return f"; no sign of life for {duration(seconds)}: if it is gone, {remedy}" if seconds else ""


def _moment(unix: float) -> str:
    """A local time, and how long ago it was."""
    return f"{time.strftime('%F %T', time.localtime(unix))} ({duration(max(0.0, time.time() - unix))})"


@click.command()
@click.argument("job")
@options.runs
@click.option("--sweep", metavar="NAME", help="The sweep that the job is of. Default: any that has such a job.")
@click.option("--tail", type=click.IntRange(min=1), metavar="N", help="Only the last N lines of each stage.")
@click.option("--paths", is_flag=True, help="Print where the logs lie, not what they say.")
def logs(job, runs, sweep, tail, paths) -> None:
    """Print what the stages of JOB printed, in order, such as JOB abd-5-s0 or "abd · 5 tasks · seed 0".

    A stage that several jobs share has one log, and so has one that several sweeps share.
    """
    from orchestrator.store import sweep_folder
    from orchestrator.store.store import Store

    runs = sweep_folder.runs_folder(runs)
    plan, found = _find_job(runs, job, sweep)
    store = Store(runs)
    for stage in (plan.stages[key] for key in dict.fromkeys(found.stages)):
        path = store.log(stage)
        if paths:
            click.echo(str(path))
            continue
        state = "done" if store.has(stage) else "not done"
        click.echo(f"==> {stage} ({state}): {path}")
        if not path.exists():
            click.echo("    nothing was printed here")
            continue
        lines = path.read_text(errors="replace").splitlines()
        for line in lines[-tail:] if tail else lines:
            click.echo(line)


def _find_job(runs, name: str, sweep: str | None):
    """The plan and the job that `name` means. Raises UserError where none is called so, or several that differ are."""
    from orchestrator.errors import UserError, choices
    from orchestrator.store import sweep_folder

    plans = [sweep_folder.load(runs, each) for each in ([sweep] if sweep else sweep_folder.names(runs))]
    found = [(plan, job) for plan in plans for job in plan.jobs if name in (job.slug, job.name)]
    if not found:
        slugs = list(dict.fromkeys(job.slug for plan in plans for job in plan.jobs))
        known = choices(name, slugs[:50]) if slugs else "None was launched yet"
        raise UserError(f"no job '{name}' in {runs}. {known}. (--runs or DFCIL_RUNS chooses the runs folder)")
    if len({job.stages for _, job in found}) > 1:
        named = ", ".join(plan.spec.name for plan, _ in found)
        raise UserError(f"several sweeps have a job '{name}': {named}. Say which one with --sweep")
    return found[0]


@click.command()
@click.argument("sweep")
@options.runs
@click.option("--wait/--no-wait", "waits", default=True, help="Wait until the launcher has ended.")
def cancel(sweep, runs, waits) -> None:
    """Ask the launchers at work on SWEEP (a name) to stop, as Ctrl-C would: what is finished stays.

    Unfinished jobs become KILLED in MLflow. Launch again to go on.
    """
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder
    from orchestrator.store.launchers import living

    runs = sweep_folder.runs_folder(runs)
    if sweep not in sweep_folder.names(runs):
        sweep_folder.load(runs, sweep)  # says what is wrong with the name
    launchers = living(sweep_folder.sweep_folder(runs, sweep))
    if not launchers:
        raise UserError(f"no launcher is at work on '{sweep}' in {runs}: there is nothing to cancel")
    for launcher in launchers:
        launcher.ask_to_stop()
        click.echo(f"asked {launcher} to stop")
    for launcher in launchers if waits else ():
        _wait_for(launcher)


def _wait_for(launcher) -> None:
    from orchestrator.errors import UserError
    from orchestrator.store.lease import Leases, Watch

    watch, leases = Watch(), Leases(launcher.folder)
    while not launcher.gone():
        holder = leases.read(launcher.id)
        if holder is not None and watch.silent(launcher.id, holder):
            raise UserError(
                f"{launcher} gives no sign of life: if it is gone, its stages are free to be taken over by now"
            )
        time.sleep(0.1)
    click.echo(f"{launcher} has stopped")
