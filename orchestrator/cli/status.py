"""`status`."""

import json
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.text import counted, duration, moment, silence

if TYPE_CHECKING:
    from orchestrator.plan.plan import Plan
    from orchestrator.status import State
    from orchestrator.store.lease import Holder


@click.command()
@click.argument("sweep", required=False, shell_complete=completion.sweeps_and_studies)
@options.runs
@options.device
@click.option("--watch", is_flag=True, help="Show it anew until the sweep is over, or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between looks of --watch."
)
def status(sweep: str | None, runs: str | None, device: str, watch: bool, as_json: bool, every: float) -> None:
    """Tell how SWEEP (a name, a study's, or a spec file) stands; without one, all sweeps of the runs folder.

    Its jobs by state, the stages at work and since when, what failed and where its log lies, and the time left. Of a
    study how many trials have ended.
    """
    from orchestrator.cli import studies
    from orchestrator.cluster.device import device_of_results
    from orchestrator.errors import UserError
    from orchestrator.store import sweep_folder

    if watch and as_json:
        raise click.UsageError("--watch is for people: leave --json out, or call again")
    folder = sweep_folder.runs_folder(runs)
    if sweep and (found := studies.instead_of_a_sweep(folder, sweep)):
        if watch:
            raise UserError(f"--watch looks at a sweep, and {found[0].name} is a study")
        studies.say_state(folder, found, as_json)
    elif sweep:
        plan = sweep_folder.find(folder, sweep, device_of_results(device))
        if as_json:
            _as_json(folder, plan)
        else:
            _one(folder, plan, every if watch else None)
    elif watch:
        raise UserError("--watch looks at one sweep: give its name, or its spec file")
    else:
        _all(folder, as_json)


def _all(runs: Path, as_json: bool) -> None:
    from orchestrator.cli import studies
    from orchestrator.store import sweep_folder

    names, tuned = sweep_folder.names(runs), studies.of(runs)
    if not (names or tuned or as_json):
        say(f"no sweep was launched in {runs} yet")
    told = []
    for plan in sweep_folder.load_each(runs, names, options.say_damaged):
        present = _present(runs, plan)
        if as_json:
            stages = {"done": len(present), "total": len(plan.stages)}
            told.append({"sweep": plan.spec.name, "jobs": _jobs(plan, present), "stages": stages})
        else:
            say(_how_far(plan, present))
    if as_json:
        say(json.dumps({"sweeps": told, "studies": [study.name for study in tuned]}, indent=1))
    elif tuned:
        studies.say_state(runs, tuned, as_json)


def _as_json(runs: Path, plan: "Plan") -> None:
    from orchestrator.status import read_state
    from orchestrator.store.store import Store

    damaged: dict[str, str] = {}
    records = Store(runs).records(plan.stages.values(), lambda stage, why: damaged.update({stage.folder: why}))
    state = read_state(runs, plan, records)
    say(json.dumps({**state.to_json(), "damaged": damaged}, indent=1, ensure_ascii=False))


def _jobs(plan: "Plan", present: Collection[str]) -> dict[str, int]:
    done = sum(all(key in present for key in job.stages) for job in plan.jobs)
    return {"done": done, "total": len(plan.jobs)}


def _present(runs: Path, plan: "Plan") -> set[str]:
    from orchestrator.store.store import Store

    return Store(runs).finished(plan.stages.values())


def _how_far(plan: "Plan", present: Collection[str]) -> str:
    done = _jobs(plan, present)["done"]
    jobs, stages = counted(len(plan.jobs), "job"), counted(len(plan.stages), "stage")
    return f"{plan.spec.name}: {done} of {jobs} done, {len(present)} of {stages}"


def _one(runs: Path, plan: "Plan", every: float | None) -> None:
    from orchestrator.garbage import no_garbage
    from orchestrator.status import read_state
    from orchestrator.store.store import Store

    records: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    while True:
        missing = [stage for key, stage in plan.stages.items() if key not in records]
        with no_garbage():
            records |= Store(runs).records(missing, lambda stage, why: damaged.update({stage.folder: why}))
            state = read_state(runs, plan, records)
            if every is not None and sys.stdout.isatty():
                click.clear()
            _show(state)
        for folder, why in damaged.items():
            say(f"damaged: {folder}: {why}", err=True)
        if every is None or state.over:
            return
        damaged.clear()
        time.sleep(every)


def _show(state: "State") -> None:
    from orchestrator.cli.tables import print_table
    from orchestrator.results.job_result import job_result

    say(_how_far(state.plan, state.records))
    for line in _lines(state):
        say(line)
    table = []
    for job in state.plan.jobs:
        result = job_result(job, state.records)
        accuracy = "{1:.1f}% after task {0}".format(*result.latest) if result.latest else ""
        table.append((job.name, state.of(job), f"{len(result.records)}/{len(set(job.stages))}", accuracy))
    print_table(("job", "state", "stages", "accuracy"), table)


def _lines(state: "State") -> Iterator[str]:
    """What there is to say of a sweep beside its jobs."""
    from orchestrator.status import DONE, STATES

    jobs = state.jobs()
    yield "jobs: " + ", ".join(f"{jobs[name]} {name}" for name in STATES if jobs[name])
    for launcher in state.launchers:
        at_a_time = f"{counted(launcher.workers, 'stage')} at a time"
        told = f"launcher: {launcher}, since {moment(launcher.holder.since)}, {at_a_time}"
        yield told + _silence(state, launcher.holder, "launch again to go on without it")
    for key, holder in state.running.items():
        where = f"on {holder.host} (process {holder.pid})"
        told = f"running: {state.plan.stages[key]} {where} since {moment(holder.since)}"
        yield told + _silence(state, holder, "a launcher that needs the stage takes it over")
    for key, failure in state.failures.items():
        needing = ", ".join(job.name for job in state.plan.jobs_of(key))
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


def _silence(state: "State", holder: "Holder", remedy: str) -> str:
    seconds = state.silent.get(holder.token)
    return silence(seconds, remedy) if seconds else ""
