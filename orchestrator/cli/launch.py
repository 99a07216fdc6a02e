"""`launch`."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import options
from orchestrator.cli.next_steps import command
from orchestrator.cli.terminal import line_width, say
from orchestrator.text import counted, readable

if TYPE_CHECKING:
    from orchestrator.cli.progress import Progress
    from orchestrator.launch import LaunchEvent, LaunchOutcome


@click.command()
@options.sweep
@options.tracking_uri
@options.experiment
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Stages at a time. Default: one a core, or slot.")
@click.option("--per-gpu", type=click.IntRange(min=1), default=1, show_default=True, help="Stages at a time on a GPU.")
@options.gpus
@options.capture
@options.log_models
@options.notify
@options.only
@click.option("--retry-failed", is_flag=True, help="Start again what failed when the sweep was launched before.")
@click.option(
    "--recompute",
    is_flag=True,
    help="Do finished stages (of --only's jobs) again, and compare. What differs is put aside, never deleted.",
)
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
def launch(spec: str, dry_run: bool, **told: Any) -> None:
    """Run what is not in the store yet of SPEC's jobs, and track it with MLflow.

    SPEC is a YAML file, or the name of a bundled spec. Launch the same spec again to go on where a launch stopped.
    A stage that raised an error is not started again by that alone: --retry-failed does. --only runs a part now; the
    sweep stays what it is, and a launch without it runs the rest.
    """
    if dry_run:
        _dry_run(spec, told)
        return
    from orchestrator.launch import launch as run

    try:
        with _Display() as display:
            outcome = run(spec, on_event=display.on_event, warn=display.warn, **told)
    except KeyboardInterrupt:
        options.say_stopped(told["runs"])
        sys.exit(130)
    _summarise(outcome, told)
    sys.exit(0 if outcome.ok else 1)


def _dry_run(spec: str, told: dict[str, Any]) -> None:
    from orchestrator.cli.plan import print_plan
    from orchestrator.launch import workers_elsewhere
    from orchestrator.preview import plan

    place = {name: told[name] for name in options.ELSEWHERE}
    elsewhere = workers_elsewhere(told["device"], told["jobs"], **place) is not None
    print_plan(plan(spec, elsewhere=elsewhere, **{name: told[name] for name in (*options.SWEEP, "only", "recompute")}))


class _Display:
    """The progress display, from the moment when the launch has begun; a spec with mistakes needs none."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._open = ExitStack()

    def __enter__(self) -> "_Display":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def on_event(self, event: "LaunchEvent") -> None:
        from orchestrator.cli.progress import Progress
        from orchestrator.launch import LaunchBegan

        if isinstance(event, LaunchBegan):
            self._progress = self._open.enter_context(Progress(event.plan, event.workers))
        assert self._progress is not None, "a launch begins before anything happens in it"
        self._progress.on_event(event)

    def warn(self, text: str) -> None:
        if self._progress is not None:
            self._progress.warn(text)
        else:
            say(f"warning: {text}")


def _summarise(outcome: "LaunchOutcome", told: dict[str, Any]) -> None:
    name, jobs = outcome.plan.spec.name, len(outcome.jobs)
    whole = len(outcome.plan.jobs)
    chosen = counted(jobs, "job") if jobs == whole else f"the {counted(jobs, 'job')} chosen (of {whole})"
    done = f"{jobs - len(outcome.failed_jobs)} of {chosen} done"
    say(f"{name}: {done}; {counted(outcome.stages_run, 'stage')} run, {outcome.stages_reused} reused")
    if outcome.recomputed:
        differing = [event.stage for event in outcome.recomputed.values() if event.aside is not None]
        same = len(outcome.recomputed) - len(differing)
        say(f"computed again: {counted(same, 'stage')} as before to the last bit, {len(differing)} not")
        for stage in differing:
            say(f"not as before: {stage} (the warning above says what differs)")
    if outcome.freed:
        freed, size = counted(outcome.freed, "checkpoint"), readable(outcome.freed_bytes)
        say(f"{freed} freed ({size}): nothing needs them; --keep all keeps them")
    for key, failure in outcome.failures.items():
        needing = ", ".join(job.name for job in outcome.plan.jobs_of(key))
        say(f"failed: {failure.stage}: {failure.error}\n  log: {failure.log}\n  needed by: {needing}", err=True)
    if not told["retry_failed"] and any(failure.traceback for failure in outcome.failures.values()):
        say("what raised an error is started again with --retry-failed", err=True)
    if outcome.undelivered:
        lacking = counted(outcome.undelivered, "job")
        deliver = command("sync", name, runs=told["runs"], tracking_uri=told["tracking_uri"])
        say(f"MLflow lacks {lacking} still. What delivers it: {deliver}", err=True)
    _show_results(outcome)
    say(f"the table:     {command('report', name, runs=told['runs'])}")
    say(f"a page of it:  {command('report', name, '--format', 'html', '--output', f'{name}.html', runs=told['runs'])}")
    say(f"the MLflow UI: {command('ui', name, runs=told['runs'], tracking_uri=told['tracking_uri'])}")


def _show_results(outcome: "LaunchOutcome") -> None:
    from orchestrator.store.failures import Failures
    from reports.frame import frame_of
    from reports.sources.store import job_report
    from reports.tables.render import render

    # Of what the launch has in its hands: reading a large sweep anew would take as long as all the rest.
    spec = outcome.plan.spec
    failed = Failures(outcome.runs, spec.name).jobs
    results = frame_of([job_report(spec, result, failures=failed) for result in outcome.job_results])
    if results["final"].notna().any():
        say(render(results, "terminal", width=line_width()), nl=False, styled=True)
