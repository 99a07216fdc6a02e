"""How a launch stands, by what it has told so far: what its display and its lines are made of."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dfcil_core.metrics import mean_accuracy
from orchestrator.engine import events
from orchestrator.launch import JobAdvanced, LaunchEvent
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.estimate import Rates
from orchestrator.results.job_result import JobResult, job_result
from orchestrator.status import seconds_until_done

_ESTIMATE_EVERY = 2.0  # seconds between looks at the time left: of a large plan it takes longer than a redrawing


@dataclass(frozen=True)
class Work:
    """What a worker is at."""

    stage: Stage
    began: float
    """Unix seconds, of the worker's clock."""
    info: Mapping[str, Any]
    """What the stage said last of itself."""

    @property
    def place(self) -> str:
        """How far it is, for people: `epoch 3/20`, `step 500/10000`, `loading torch`."""
        for unit in ("epoch", "step"):
            if unit in self.info:
                return f"{unit} {self.info[unit]}/{self.info[unit + 's']}"
        return str(self.info.get("phase", "starting"))


@dataclass(frozen=True)
class Group:
    """The jobs of one method and one split, which differ by seed."""

    label: str
    split: str
    results: tuple[JobResult, ...]
    failed: int
    """Jobs that need a stage that has failed."""

    @cached_property
    def tasks(self) -> tuple[int, int]:
        """How many tasks are learnt, over all seeds, and how many there are."""
        done = sum(row is not None for result in self.results for row in result.matrix)
        return done, sum(key is not None for result in self.results for key in result.job.learn)

    @cached_property
    def jobs(self) -> tuple[int, int]:
        """How many jobs are finished, and how many there are."""
        return sum(result.finished for result in self.results), len(self.results)

    @cached_property
    def curve(self) -> list[float | None]:
        """Average accuracy in percent after each task, the mean over the seeds that have learnt it; None: none has."""
        means: list[float | None] = []
        for rows in zip(*(result.matrix for result in self.results), strict=True):
            known = [mean_accuracy(row) for row in rows if row is not None]
            means.append(sum(known) / len(known) if known else None)
        return means


class Standing:
    """A launch so far. Not for use by several threads."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self.plan, self.workers = plan, workers
        self.left = set(plan.stages)
        self.failed: set[str] = set()
        self.busy: dict[str, Work] = {}
        """What each worker is at, by its name."""
        self.began = time.monotonic()
        self._records: Mapping[str, Mapping[str, Any]] = {}
        self._results: dict[int, JobResult] = {}
        """By the job's position, of those that have been asked for or have come on."""
        self._members: dict[tuple[str, str], list[int]] = {}
        for position, job in enumerate(plan.jobs):
            self._members.setdefault((job.entry.label, job.split.title), []).append(position)
        self._places = {id(job): position for position, job in enumerate(plan.jobs)}
        self._groups: dict[tuple[str, str], Group] = {}
        self._estimated: tuple[float, float | None] | None = None

    def reuse(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Note what is in the store before anything runs."""
        self.left -= set(records)
        self._records = records
        # The display may have been drawn before, and has asked for what none of them was known for.
        self._results.clear()
        self._groups.clear()
        vars(self).pop("_rates", None)
        self._estimated = None

    def note(self, event: LaunchEvent) -> None:
        """Take in what happened."""
        match event:
            case JobAdvanced(result):
                self._results[self._places[id(result.job)]] = result
                self._groups.pop((result.label, result.title), None)
            case events.StageStarted(stage, worker, began):
                self.busy[worker] = Work(stage, began, {})
            case events.StageProgress(stage, worker, info):
                known = self.busy.get(worker)
                same = known is not None and known.stage.key == stage.key
                self.busy[worker] = replace(known, info=info) if known and same else Work(stage, time.time(), info)
            case events.StageFinished(stage, record):
                self.left.discard(stage.key)
                self._rates.add(stage.recipe, record["seconds"])
                self._forget(stage)
            case events.StageFailed(stage):
                self.failed.add(stage.key)
                self._groups.clear()
                self._forget(stage)
            case events.StageOutOfMemory(stage) | events.StageMoved(stage) | events.StageRetried(stage):
                self._forget(stage)
            case events.StageDamaged(stage):
                self.left.add(stage.key)

    @property
    def stages(self) -> tuple[int, int]:
        """How many stages are done, and how many there are."""
        return len(self.plan.stages) - len(self.left), len(self.plan.stages)

    @property
    def jobs(self) -> tuple[int, int]:
        """How many jobs are done, and how many there are."""
        return sum(self.left.isdisjoint(job.stages) for job in self.plan.jobs), len(self.plan.jobs)

    def groups(self) -> list[Group]:
        """Every method and split, in the order of the spec."""
        return [self._group(key) for key in self._members]

    def of_stage(self, stage: Stage) -> list[Group]:
        """The methods and splits whose jobs need the stage."""
        return [self._group(key) for key in dict.fromkeys(map(self._key, self.plan.users[stage.key]))]

    def results_of(self, stage: Stage) -> list[JobResult]:
        """The jobs that need the stage, as far as they are."""
        return [self._result(position) for position in self.plan.users[stage.key]]

    @property
    def elapsed(self) -> float:
        """Seconds since the launch began."""
        return time.monotonic() - self.began

    def seconds_left(self) -> float | None:
        """The time left as `status` reckons it, not looked at anew all the time; None where nothing tells."""
        now = time.monotonic()
        if self._estimated is None or now - self._estimated[0] >= _ESTIMATE_EVERY:
            since = {work.stage.key: work.began for work in self.busy.values()}
            self._estimated = (
                now,
                seconds_until_done(self.plan, self.left, self.failed, self._rates, self.workers, since),
            )
        return self._estimated[1]

    def _forget(self, stage: Stage) -> None:
        self.busy = {worker: work for worker, work in self.busy.items() if work.stage.key != stage.key}

    @cached_property
    def _rates(self) -> Rates:
        # Of a large sweep it takes its time, as do the results of its jobs: of one that is done nobody asks.
        return Rates.of(self.plan, self._records)

    def _result(self, position: int) -> JobResult:
        if position not in self._results:
            self._results[position] = job_result(self.plan.jobs[position], self._records)
        return self._results[position]

    def _key(self, position: int) -> tuple[str, str]:
        job = self.plan.jobs[position]
        return job.entry.label, job.split.title

    def _group(self, key: tuple[str, str]) -> Group:
        if key not in self._groups:
            results = tuple(map(self._result, self._members[key]))
            failed = sum(not self.failed.isdisjoint(result.job.stages) for result in results)
            self._groups[key] = Group(*key, results, failed)
        return self._groups[key]
