"""How a sweep stands: what is done, what runs where, what failed, and what is left. Read from files; writes nothing."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine.events import StageFailed
from orchestrator.plan.plan import Job, Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.estimate import Rates, time_left
from orchestrator.results.job_result import job_result
from orchestrator.store.failures import Failures
from orchestrator.store.launchers import Launcher, living
from orchestrator.store.lease import SILENT_SECONDS, Holder
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import find, runs_folder, sweep_folder

DONE, RUNNING, FAILED, WAITING, STOPPED = "done", "running", "failed", "waiting", "stopped"
STATES = (DONE, RUNNING, FAILED, WAITING, STOPPED)

OnDamaged = Callable[[Stage, str], None]


@dataclass(frozen=True)
class State:
    """A sweep at one moment."""

    plan: Plan
    records: Mapping[str, Mapping[str, Any]]
    running: Mapping[str, Holder]
    """Key of each stage at work, for this sweep or another one, to who does it."""
    failures: Mapping[str, StageFailed]
    """Key of each stage that failed and has neither been done nor begun again since."""
    launchers: tuple[Launcher, ...]
    silent: Mapping[str, float]
    """Token of each of these, and of each holder in `running`, that has given no sign of life for longer than it may:
    seconds. It is on another machine, and gone, or cut off; if its stages are asked for, they are taken over."""
    seconds_left: float | None
    """For the jobs that the launchers at work run, or else for all, one stage at a time; None where nothing tells."""
    saved: int
    """Stages that finished once and serve further jobs: how often they need not be done again."""
    saved_seconds: float
    """What those would have taken, one after the other."""

    def of(self, job: Job) -> str:
        """The state of a job: done, running, failed, waiting (for a worker), or stopped: no launcher is at work."""
        if self.records.keys() >= set(job.stages):
            return DONE
        if any(key in self.running for key in job.stages):
            return RUNNING
        if any(key in self.failures for key in job.stages):
            return FAILED
        return WAITING if any(launcher.runs(job.name) for launcher in self.launchers) else STOPPED

    def jobs(self) -> Counter[str]:
        """How many jobs are in each state."""
        return Counter(self.of(job) for job in self.plan.jobs)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data: times in unix seconds, durations in seconds, accuracies in percent."""
        return {
            "sweep": self.plan.spec.name,
            "over": self.over,
            "stages": {"done": len(self.records), "total": len(self.plan.stages)},
            "states": {name: self.jobs()[name] for name in STATES},
            "jobs": [self._job(job) for job in self.plan.jobs],
            "launchers": [{**each.holder.to_json(), "stages_at_a_time": each.workers} for each in self.launchers],
            "running": [
                {"stage": str(self.plan.stages[key]), "key": key, **holder.to_json()}
                for key, holder in self.running.items()
            ],
            "failed": [
                {
                    "stage": str(failure.stage),
                    "key": key,
                    "error": failure.error,
                    "log": str(failure.log),
                    "needed_by": [job.slug for job in self.plan.jobs_of(key)],
                }
                for key, failure in self.failures.items()
            ],
            "seconds_left": self.seconds_left,
            "saved_by_sharing": {"stages": self.saved, "seconds": self.saved_seconds},
        }

    def _job(self, job: Job) -> dict[str, Any]:
        result = job_result(job, self.records)
        after, accuracy = result.latest or (None, None)
        return {
            "job": job.slug,
            "name": job.name,
            "state": self.of(job),
            "stages": {"done": len(result.records), "total": len(set(job.stages))},
            "after_task": after,
            "accuracy": accuracy,
        }

    @property
    def over(self) -> bool:
        """Whether nothing is left that a launcher at work could do."""
        return not self.launchers and self.jobs().keys() <= {DONE, FAILED}


def status(
    sweep: str | Path, *, runs: str | Path | None = None, device: str = "auto", on_damaged: OnDamaged = lambda *_: None
) -> State:
    """How a sweep (a name, or a spec file) stands now. Writes nothing.

    `runs` is the folder of all results: by default DFCIL_RUNS, else ./runs. `device` matters for a spec file alone that
    was not launched. A stage whose record cannot be read counts as not done; `on_damaged` is told of it and why.
    Raises UserError for an unknown sweep.
    """
    from orchestrator.cluster.device import device_of_results

    folder = runs_folder(None if runs is None else str(runs))
    plan = find(folder, str(sweep), device_of_results(device))
    return read_state(folder, plan, Store(folder).records(plan.stages.values(), on_damaged))


def read_state(runs: Path, plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> State:
    """How a sweep stands, given the records of its finished stages."""
    store, folder = Store(runs), sweep_folder(runs, plan.spec.name)
    running = _running(store, plan.stages, records)
    failures = {
        key: failure for key, failure in stages_failed(runs, plan).items() if key not in records and key not in running
    }
    launchers = tuple(living(folder))
    asked = {key for job in plan.jobs if any(each.runs(job.name) for each in launchers) for key in job.stages}
    left = (asked if launchers else plan.stages.keys()) - records.keys()
    since = {key: holder.since for key, holder in running.items()}
    workers = sum(launcher.workers for launcher in launchers) or 1
    rates = Rates.of(plan, records) if left else Rates()  # of a large sweep that is done it would take its time
    seconds_left = seconds_until_done(plan, left, failures, rates, workers, since)
    silent = {holder.token: store.leases.silence(key) for key, holder in running.items()}
    silent |= {each.holder.token: each.silence() for each in launchers}
    silent = {token: seconds for token, seconds in silent.items() if seconds > SILENT_SECONDS}
    again = {key: len(plan.users[key]) - 1 for key in records}
    saved_seconds = sum(times * records[key]["seconds"] for key, times in again.items())
    saved = sum(again.values())
    return State(plan, records, running, failures, launchers, silent, seconds_left, saved, saved_seconds)


def stages_failed(runs: Path, plan: Plan) -> dict[str, StageFailed]:
    """The stages of a plan that failed when they were last started under its name, by key."""
    noted = Failures(runs, plan.spec.name).jobs
    found = {}
    for job in plan.jobs:
        failure = noted.get(job.id, {})
        key = failure.get("stage")
        if key in job.stages and key not in found:
            stage = plan.stages[key]  # its log is told where the folder lies now: it may have been moved since
            found[key] = StageFailed(stage, failure["error"], failure["traceback"], Store(runs).log(stage))
    return found


def lacked_files(error: str) -> bool:
    """Whether a stage's error, as `dfcil_core.errors.MissingData: ...`, is that a file was not there."""
    return error.partition(":")[0].rpartition(".")[2] in ("MissingData", "AbsentData")


def _running(store: Store, stages: Mapping[str, Stage], records: Mapping[str, Any]) -> dict[str, Holder]:
    held = store.leases.holders()
    if not held:
        return {}
    found = {key: held[key[:16]] for key in stages if key not in records and key[:16] in held}
    return {key: holder for key, holder in found.items() if not holder.dead()}


def seconds_until_done(
    plan: Plan, left: Set[str], failed: Iterable[str], rates: Rates, workers: int, since: Mapping[str, float]
) -> float | None:
    """Seconds until all of the stages `left` that can be done are done; None where nothing like one of them is known.

    What needs a failed stage cannot be done. `since`: key of each running stage to when it began, in unix seconds.
    """
    now = time.time()
    spent = {key: max(0.0, now - began) for key, began in since.items()}
    return time_left(plan, set(left - _below(plan, failed)), rates, workers, spent)


def _below(plan: Plan, failed: Iterable[str]) -> set[str]:
    """The failed stages and all that needs them."""
    found = set(failed)
    if not found:
        return found
    for key, stage in plan.stages.items():  # parents first
        if found.intersection(stage.parents):
            found.add(key)
    return found
