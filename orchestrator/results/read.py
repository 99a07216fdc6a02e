"""The results of a plan's jobs, read from the store and kept up as further stages finish."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.garbage import no_garbage
from orchestrator.plan.plan import Plan
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
    """Key of each finished stage to its record. What finishes later comes in by `add`."""
    _known: dict[int, JobResult] = field(default_factory=dict)
    """Position of a job to its result, since its latest stage came in."""

    def add(self, stage: Stage, record: dict[str, Any]) -> list[JobResult]:
        """Note that a stage has finished; the results of the jobs that need it, as of now."""
        self.records[stage.key] = record
        positions = self.plan.users[stage.key]
        for position in positions:
            self._known.pop(position, None)
        return self._of(positions)

    def of_jobs(self) -> list[JobResult]:
        """The result of every job, in the plan's order."""
        with no_garbage():
            return self._of(range(len(self.plan.jobs)))

    def _of(self, positions: Sequence[int]) -> list[JobResult]:
        jobs = {position: self.plan.jobs[position] for position in positions if position not in self._known}
        complete(self.plan, jobs.values(), self.store, self.records)
        self._known.update({position: job_result(job, self.records) for position, job in jobs.items()})
        return [self._known[position] for position in positions]


def read_results(plan: Plan, store: Store, on_damaged: Callable[[Stage, str], None]) -> Results:
    """The results that the store has of a plan.

    A stage whose record cannot be read counts as not done; `on_damaged` is told of it and why. Raises UserError where
    the local accuracy of a job is to be counted anew and the test logits of a finished stage cannot be read; so do the
    methods of the results.
    """
    return Results(plan, store, store.records(plan.stages.values(), on_damaged))
