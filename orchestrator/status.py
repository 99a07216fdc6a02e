"""How a sweep stands: what is done, what runs where, what failed, and what is left. Read from files; writes nothing."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine.events import StageFailed
from orchestrator.plan.plan import Job, Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.estimate import Rates, time_left
from orchestrator.results.job_result import job_id
from orchestrator.store.failures import Failures
from orchestrator.store.launchers import Launcher, living
from orchestrator.store.lease import LEASE_TIMEOUT, Holder, Leases
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import sweep_folder

DONE, RUNNING, FAILED, WAITING, STOPPED = "done", "running", "failed", "waiting", "stopped"
STATES = (DONE, RUNNING, FAILED, WAITING, STOPPED)


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
    """With the launchers at work, or else with one stage at a time; None where nothing tells."""
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
        return WAITING if self.launchers else STOPPED

    def jobs(self) -> Counter[str]:
        """How many jobs are in each state."""
        return Counter(self.of(job) for job in self.plan.jobs)

    @property
    def over(self) -> bool:
        """Whether nothing is left that a launcher at work could do."""
        return not self.launchers and self.jobs().keys() <= {DONE, FAILED}


def read_state(runs: Path, plan: Plan, records: Mapping[str, Mapping[str, Any]]) -> State:
    """How a sweep stands, given the records of its finished stages."""
    store, folder = Store(runs), sweep_folder(runs, plan.spec.name)
    running = _running(store, plan.stages, records)
    failures = {
        key: failure for key, failure in stages_failed(runs, plan).items() if key not in records and key not in running
    }
    launchers = tuple(living(folder))
    blocked = _below(plan, failures)
    left = plan.stages.keys() - records.keys() - blocked
    now = time.time()
    spent = {key: max(0.0, now - holder.since) for key, holder in running.items()}
    workers = sum(launcher.workers for launcher in launchers) or 1
    seconds_left = time_left(plan, left, Rates.of(plan, records), workers, spent)
    silent = {holder.token: store.leases.silence(key) for key, holder in running.items()}
    silent |= {each.holder.token: Leases(each.folder).silence(each.id) for each in launchers}
    silent = {token: seconds for token, seconds in silent.items() if seconds > 2 * LEASE_TIMEOUT}
    again = {key: len(plan.users[key]) - 1 for key in records}
    saved_seconds = sum(times * records[key]["seconds"] for key, times in again.items())
    saved = sum(again.values())
    return State(plan, records, running, failures, launchers, silent, seconds_left, saved, saved_seconds)


def stages_failed(runs: Path, plan: Plan) -> dict[str, StageFailed]:
    """The stages of a plan that failed when they were last started under its name, by key."""
    noted = Failures(runs, plan.spec.name).jobs
    found = {}
    for job in plan.jobs:
        failure = noted.get(job_id(job))
        key = failure and failure.get("stage")
        if key in job.stages and key not in found:
            found[key] = StageFailed(plan.stages[key], failure["error"], failure["traceback"], Path(failure["log"]))
    return found


def _running(store: Store, stages: Mapping[str, Stage], records: Mapping[str, Any]) -> dict[str, Holder]:
    held = store.leases.holders()
    if not held:
        return {}
    found = {key: held[key[:16]] for key in stages if key not in records and key[:16] in held}
    return {key: holder for key, holder in found.items() if not holder.dead()}


def _below(plan: Plan, failures: Mapping[str, StageFailed]) -> set[str]:
    """The failed stages and all that needs them."""
    found = set(failures)
    for key, stage in plan.stages.items():  # parents first
        if found.intersection(stage.parents):
            found.add(key)
    return found
