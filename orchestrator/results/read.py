"""The results of a plan's jobs, read from the store and kept up as further stages finish."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.plan.plan import Job, Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult, job_result
from orchestrator.results.local_accuracy import complete
from orchestrator.store.store import Store


@dataclass(frozen=True)
class Results:
    """What the records of a plan's finished stages say of its jobs."""

    plan: Plan
    store: Store
    records: dict[str, dict[str, Any]]
    """Key of each finished stage to its record."""

    def add(self, stage: Stage, record: dict[str, Any]) -> list[JobResult]:
        """Note that a stage has finished; the results of the jobs that need it, as of now."""
        self.records[stage.key] = record
        return self._of(self.plan.jobs_of(stage.key))

    def of_jobs(self) -> list[JobResult]:
        """The result of every job, in the plan's order."""
        return self._of(self.plan.jobs)

    def _of(self, jobs: Sequence[Job]) -> list[JobResult]:
        complete(self.plan, jobs, self.store, self.records)
        return [job_result(job, self.records) for job in jobs]


def read_results(plan: Plan, store: Store, on_damaged: Callable[[Stage, str], None]) -> Results:
    """The results that the store has of a plan.

    A stage whose record cannot be read counts as not done; `on_damaged` is told of it and why. Raises UserError where
    the local accuracy of a job is to be counted anew and the test logits of a finished stage cannot be read; so do the
    methods of the results.
    """
    return Results(plan, store, store.records(plan.stages.values(), on_damaged))
