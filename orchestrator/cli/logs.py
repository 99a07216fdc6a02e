"""`logs`."""

import os
import sys
import time
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import options
from orchestrator.cli.stage_lines import Live, curve_lines, result_lines
from orchestrator.cli.terminal import say
from orchestrator.cli.usage import completion
from orchestrator.text import readable
from orchestrator.worker.progress_file import ProgressReader, path_of

if TYPE_CHECKING:
    from orchestrator.plan.plan import Job, Plan
    from orchestrator.plan.stage import Stage
    from orchestrator.store.store import Store

_LOOK_EVERY = 0.5  # seconds
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
@click.option("--follow", "-f", is_flag=True, help="Go on with what is reported, until the job is over or Ctrl-C.")
def logs(job: str, runs: str | None, sweep: str | None, tail: int | None, paths: bool, follow: bool) -> None:
    """Print the stages of JOB in order: epochs with loss and rate, dreaming's terms, accuracies, durations.

    JOB is a name such as abd-5-s0 or "abd · 5 tasks · seed 0". What a stage printed itself comes first. A stage that
    several jobs share has one log, and so has one that several sweeps share.
    """
    from orchestrator.store import sweep_folder
    from orchestrator.store.store import Store

    folder = sweep_folder.runs_folder(runs)
    plan, found = _find_job(folder, job, sweep)
    shown = _Job(plan, found, Store(folder), tail)
    if paths:
        for stage in shown.stages:
            say(str(shown.store.log(stage)))
    elif follow:
        sys.exit(_follow(folder, shown))
    else:
        shown.look()
        shown.show()


class _Job:
    """A job's stages, each told once; of one at work what is new."""

    def __init__(self, plan: "Plan", job: "Job", store: "Store", tail: int | None) -> None:
        self.plan, self.job, self.store, self.tail = plan, job, store, tail
        self.stages = [plan.stages[key] for key in dict.fromkeys(job.stages)]
        self.records: dict[str, dict[str, Any]] = {}
        self._told: set[str] = set()
        self._live: dict[str, tuple[ProgressReader, Live]] = {}

    def look(self) -> None:
        """Read the records that are there by now."""
        missing = [stage for stage in self.stages if stage.key not in self.records]
        self.records |= self.store.records(missing, lambda stage, why: say(f"damaged: {stage.folder}: {why}", err=True))

    def show(self, at_work: Container[str] | None = None) -> None:
        """Tell what was not told yet: of every stage, or while it is followed up to the first that has not begun."""
        for stage in self.stages:
            if stage.key in self._told:
                continue
            if stage.key in self.records:
                self._finished(stage, self.records[stage.key])
            elif at_work is not None and stage.key not in at_work:
                return
            else:
                self._unfinished(stage)

    def _finished(self, stage: "Stage", record: dict[str, Any]) -> None:
        from orchestrator.results.job_result import job_result

        self._told.add(stage.key)
        result = result_lines(stage, record, job_result(self.job, self.records))
        if stage.key in self._live:
            lines = [*curve_lines(stage, record, after=self._live[stage.key][1].place), *result]
        else:
            say(f"==> {stage} (done): {self.store.log(stage)}")
            lines = [*self._printed(stage), *curve_lines(stage, record), *result]
            lines = lines[-self.tail :] if self.tail else lines
        for line in lines:
            say(line)

    def _unfinished(self, stage: "Stage") -> None:
        lines: list[str] = []
        if stage.key not in self._live:
            self._live[stage.key] = ProgressReader(path_of(self.store, stage)), Live()
            say(f"==> {stage} (not done): {self.store.log(stage)}")
            lines = self._printed(stage)
        reader, live = self._live[stage.key]
        lines += [line for info in reader.new() if (line := live.line(info)) is not None]
        for line in lines[-self.tail :] if self.tail else lines:
            say(line)

    def _printed(self, stage: "Stage") -> list[str]:
        path = self.store.log(stage)
        if path.is_file():
            return _end(path).splitlines()
        return ["    this is no file: remove it" if path.exists() else "    nothing was printed here"]


def _follow(runs: Path, shown: _Job) -> int:
    """Tell what comes until the job is over; the exit status."""
    from orchestrator.status import DONE, FAILED, RUNNING, WAITING, read_state

    while True:
        shown.look()
        state = read_state(runs, shown.plan, shown.records)
        shown.show(state.running)
        how = state.of(shown.job)
        if how not in (RUNNING, WAITING):
            break
        time.sleep(_LOOK_EVERY)
    for failure in (state.failures[key] for key in shown.job.stages if key in state.failures):
        say(f"failed: {failure.stage}: {failure.error}\n  log: {failure.log}", err=True)
    if how not in (DONE, FAILED):
        say("it is not done, and no launcher is at work on it", err=True)
    return 0 if how == DONE else 1


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
