"""`launch` and `plan`."""

import json
import os
import sys
from pathlib import Path

import click

from orchestrator.cli import options
from orchestrator.plan.plan import Plan
from orchestrator.text import counted, duration, readable

_MOST_SEEDS = 10  # that `plan` lists one by one


@click.command()
@options.sweep
@options.tracking_uri
@options.experiment
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Stages at a time. Default: one a core, or slot.")
@click.option("--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Stages at a time on a GPU.")
@options.log_models
@click.option("--retry-failed", is_flag=True, help="Start again what failed when the sweep was launched before.")
@click.option(
    "--save-every",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Between the saves within a stage, from which it goes on after an interruption.",
)
@click.option(
    "--keep",
    type=click.Choice(["needed", "all"]),
    default="needed",
    show_default=True,
    help="Checkpoints on the disk: needed frees those between a job's first and last task when nothing needs them.",
)
@options.elsewhere
@click.option("--dry-run", is_flag=True, help="Print the plan and stop, as `plan` does.")
def launch(
    spec,
    runs,
    device,
    tracking_uri,
    experiment,
    jobs,
    per_gpu,
    log_models,
    retry_failed,
    save_every,
    keep,
    dry_run,
    **told,
) -> None:
    """Run what is not in the store yet of SPEC's jobs, and track it with MLflow.

    SPEC is a YAML file, or the name of a bundled spec. Launch the same spec again to go on where a launch stopped.
    A stage that raised an error is not started again by that alone: --retry-failed does.
    """
    from dfcil_core.data.catalog import IMAGE_FILES
    from orchestrator.spec.dataset import require_files
    from orchestrator.store.sweep_folder import runs_folder

    runs = runs_folder(runs)
    elsewhere = _elsewhere(told, device, jobs)
    plan = _plan(spec, device, here=elsewhere is None, **told)
    if dry_run:
        _print_plan(plan, runs)
        return
    if elsewhere is None or plan.spec.dataset.info.name in IMAGE_FILES:
        require_files(plan.spec.dataset)  # what is downloaded, or lies in `root`, lies where the work is done
    workers = jobs or _slots(plan.device, per_gpu)
    options_of_run = (workers, per_gpu, retry_failed, save_every, keep, elsewhere)
    sys.exit(_Launch(plan, runs, (tracking_uri, experiment, log_models), *options_of_run).run())


@click.command()
@options.sweep
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plan(spec, runs, device, as_json, **told) -> None:
    """Print SPEC's jobs and stages, how many are shared, and how many are in the store already."""
    from orchestrator.store.sweep_folder import runs_folder

    _print_plan(_plan(spec, device, **told), runs_folder(runs), as_json)


def _elsewhere(told: dict, device: str, jobs: int | None):
    """What `options.elsewhere` were given, taken out of `told`; None where they were not."""
    names = ("cluster", "profile", "scheduler", "tls_ca", "tls_cert", "tls_key")
    given = {name: told.pop(name) for name in names}
    if not any(given.values()):
        return None
    from orchestrator.cluster import select

    return select.chosen(given, device, jobs)


def _plan(
    spec: str, device: str, overrides: tuple[str, ...], data_root, plugin, rehearse: bool, here: bool = True
) -> Plan:
    from orchestrator.cluster.device import device_elsewhere, device_kind
    from orchestrator.plan.plan import make_plan
    from orchestrator.spec.load import load_spec
    from orchestrator.spec.rehearsal import rehearse as rehearsal

    read = load_spec(spec, overrides=overrides, data_root=data_root, plugin=plugin)
    return make_plan(rehearsal(read) if rehearse else read, device_kind(device) if here else device_elsewhere(device))


def _slots(device: str, per_gpu: int) -> int:
    from orchestrator.cluster.device import device_count

    return device_count() * per_gpu if device == "cuda" else len(os.sched_getaffinity(0))


def _print_plan(plan: Plan, runs: Path, as_json: bool = False) -> None:
    from orchestrator.engine.checkpoint_gc import wanted_again
    from orchestrator.results.estimate import Rates
    from orchestrator.store.store import Store

    store = Store(runs)
    rates = Rates.of(plan, store.records(plan.stages.values(), on_damaged=lambda stage, why: None), store)
    seconds = rates.total(plan.stages.values())
    present = store.finished(plan.stages.values())
    present -= wanted_again(plan.stages, present, store.whole)
    without = rates.total(plan.stages[key] for job in plan.jobs for key in job.stages)
    facts = {
        "sweep": plan.spec.name,
        "device": plan.device,
        "jobs": len(plan.jobs),
        "excluded": plan.excluded,
        "stages": {kind: plan.count(kind) for kind in ("learn", "remember", "dream")},
        "without_sharing": plan.unshared,
        "shared": sum(len(users) > 1 for users in plan.users.values()),
        "in_store": len(present),
        # Of one worker, by what stages like these took; null where one has none like it in the store.
        "estimated_hours": None if seconds is None else seconds / 3600,
        "estimated_hours_without_sharing": None if without is None else without / 3600,
    }
    if as_json:
        listed = [{"name": job.name, "slug": job.slug, "stages": list(job.stages)} for job in plan.jobs]
        click.echo(json.dumps({**facts, "job_list": listed}, indent=1))
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in facts["stages"].items() if count)
    left_out = f", {plan.excluded} excluded" if plan.excluded else ""
    click.echo(f"{plan.spec.name}: {counted(len(plan.jobs), 'job')}{left_out}, on {plan.device}")
    for entry in plan.spec.methods:
        cells = sum(job.entry.label == entry.label for job in plan.jobs)
        splits = ", ".join(split.title for split in plan.spec.splits)
        click.echo(f"  {entry.label}: {counted(cells, 'job')} ({splits}; seeds {_listed(plan.spec.seeds)})")
    shared = f"sharing {facts['shared']} of them between jobs saves {plan.unshared - len(plan.stages)}"
    click.echo(f"{counted(len(plan.stages), 'stage')} ({kinds}); {shared if facts['shared'] else 'none is shared'}")
    if seconds is not None and without is not None:
        saved = f"; without sharing about {duration(without)}" if facts["shared"] else ""
        click.echo(f"about {duration(seconds)} of work for one worker, by what stages like these took{saved}")
    click.echo(f"{facts['in_store']} in the store ({runs}), {len(plan.stages) - facts['in_store']} to run")


def _listed(seeds: tuple[int, ...]) -> str:
    """The seeds, or of many the first and the last."""
    if len(seeds) <= _MOST_SEEDS:
        return ", ".join(map(str, seeds))
    return f"{seeds[0]}, {seeds[1]}, {seeds[2]}, ... {seeds[-1]}: {len(seeds)} of them"


class _Launch:
    """One launch: the engine's events go to the progress display and, job by job, to MLflow."""

    def __init__(self, plan, runs, tracking, workers, per_gpu, retry_failed, save_every, keep, elsewhere) -> None:
        from orchestrator.cli.progress import Progress
        from orchestrator.engine.engine import Options
        from orchestrator.store.store import Store
        from orchestrator.tracking import Tracker
        from reports.artifacts import FIGURES

        self.plan, self.runs = plan, runs
        self.store = Store(runs)
        # A worker runs in a folder of its own: what it is told must not depend on where it stands.
        root = str(Path(plan.spec.dataset.root or "data").expanduser().absolute())
        plugin = plan.spec.plugin
        how = {"per_gpu": per_gpu, "plugin": plugin, "save_every": save_every, "elsewhere": elsewhere}
        self.options = Options(workers, plan.device, data_root=root, free=keep == "needed", **how)
        self.progress = Progress(plan, workers)
        uri, experiment, log_models = tracking
        warn = self.progress.warn
        self.tracker = Tracker(plan, runs, uri, experiment, warn, log_models=log_models, figures=FIGURES)
        self.records: dict[str, dict] = {}
        self.retry_failed = retry_failed

    def run(self) -> int:
        """Launch, and give the exit status."""
        from orchestrator.engine import engine
        from orchestrator.store import sweep_folder
        from orchestrator.store.launchers import announced
        from reports.artifacts import result_tables

        self._say_changes(sweep_folder.save(self.runs, self.plan))
        folder = sweep_folder.sweep_folder(self.runs, self.plan.spec.name)
        try:
            with announced(folder, self.options.workers), self.progress, self.tracker:
                self.records = self._read_records()
                self.progress.reuse(self.records)
                for result in self._results():
                    if result.records:
                        self.tracker.deliver(result)
                outcome = engine.run(self.plan, self.store, self.options, self._on_event, self._given_up())
                results = self._results()
                state = "FAILED" if outcome.failed else "FINISHED"
                undelivered = self.tracker.finish(state, results, result_tables(self.plan.spec, results))
        except KeyboardInterrupt:
            click.echo(f"\nStopped. What is finished is in {self.runs}; the same command goes on from there.", err=True)
            return 130
        self._summarise(outcome, undelivered)
        return 1 if outcome.failed else 0

    def _on_event(self, event) -> None:
        from orchestrator.engine.events import StageFailed, StageFinished

        if isinstance(event, StageFinished):
            self.records[event.stage.key] = event.record
            for result in self._results(event.stage.key):
                self.tracker.deliver(result)
                self.progress.result(result)
        elif isinstance(event, StageFailed):
            for job in self._jobs_of(event.stage.key):
                self.tracker.job_failed(job, event.error, event.traceback, event.stage.key, str(event.log))
        self.progress.on_event(event)

    def _given_up(self):
        """The stages that raised when the sweep was launched before. Those whose process died are worth another try."""
        from orchestrator.status import stages_failed

        if self.retry_failed:
            return {}
        failed = stages_failed(self.runs, self.plan)
        return {key: failure for key, failure in failed.items() if failure.traceback}

    def _read_records(self) -> dict[str, dict]:
        """The records in the store. The engine tells of those that cannot be read, and does them again."""
        return self.store.records(self.plan.stages.values(), on_damaged=lambda stage, why: None)

    def _jobs_of(self, key: str):
        return [self.plan.jobs[position] for position in self.plan.users[key]]

    def _results(self, key: str | None = None):
        """Results of all jobs, or of those that need the stage `key`."""
        from orchestrator.results.job_result import job_result
        from orchestrator.results.local_accuracy import complete

        jobs = self.plan.jobs if key is None else self._jobs_of(key)
        complete(self.plan, jobs, self.store, self.records)
        return [job_result(job, self.records) for job in jobs]

    def _say_changes(self, changes) -> None:
        if changes:
            added, removed = counted(len(changes.added), "job"), counted(len(changes.removed), "job")
            click.echo(
                f"sweep '{self.plan.spec.name}' changes: {added} new or other than before, "
                f"{removed} dropped or replaced (their stages stay in the store)"
            )

    def _summarise(self, outcome, undelivered: int) -> None:
        name, jobs = self.plan.spec.name, len(self.plan.jobs)
        failed = {job.name for key in outcome.failed for job in self._jobs_of(key)}
        done = f"{jobs - len(failed)} of {counted(jobs, 'job')} done"
        click.echo(f"{name}: {done}; {counted(outcome.done, 'stage')} run, {outcome.reused} reused")
        if outcome.freed:
            freed, size = counted(outcome.freed, "checkpoint"), readable(outcome.freed_bytes)
            click.echo(f"{freed} freed, {size}: nothing needs them any more (--keep all keeps them)")
        for key, failure in outcome.failed.items():
            needing = ", ".join(job.name for job in self._jobs_of(key))
            click.echo(
                f"failed: {failure.stage}: {failure.error}\n  log: {failure.log}\n  needed by: {needing}", err=True
            )
        if outcome.failed.keys() & self._given_up().keys():
            click.echo("what raised an error is started again with --retry-failed", err=True)
        if undelivered:
            lacking = counted(undelivered, "job")
            click.echo(f"MLflow lacks {lacking} still: `dfcil-sweep sync {name}` delivers what is missing", err=True)
        click.echo(f"`dfcil-sweep report {name}` prints the table, `dfcil-sweep ui {name}` opens MLflow")
