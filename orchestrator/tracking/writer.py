"""Delivering to MLflow: a job's new stages, a failure, the end of a sweep. One writer a sweep and tracking store.

How much of a job is delivered stands in the run itself (the tag `dfcil.delivered`), written by the call that brings the
last of it. So a writer that is killed anywhere leaves a run that the next one completes: what was sent and not noted is
sent again, and MLflow keeps equal points once.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from orchestrator.plan.fingerprint import fingerprint
from orchestrator.plan.plan import Job, Plan
from orchestrator.results.job_result import JobResult
from orchestrator.store.failures import Failures
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from orchestrator.tracking import describe, pictures, runs, views
from orchestrator.tracking.database import forget_artifact_places, make_sqlite
from orchestrator.tracking.delivered import Delivered, keep_experiment, runs_id
from orchestrator.tracking.faults import reaching
from orchestrator.tracking.figures import NO_FIGURES, Figures, Texts, no_texts
from orchestrator.tracking.moved import settle
from orchestrator.tracking.patient import patient_client
from orchestrator.tracking.points import finished_in_order, milliseconds, points
from orchestrator.tracking.runs import Child
from orchestrator.tracking.uri import artifact_root

_BATCH = 1000  # entities that one log_batch takes
_LONG = 30.0  # seconds of dreaming after which somebody may be waiting for the pictures
# What a tracking store says of a run that is not there, or not any more.
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")


class Writer:
    """Writes the runs of one sweep. Not for use by several threads."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        uri: str,
        experiment: str,
        failures: Failures,
        trusting: bool = True,
        figures: Figures = NO_FIGURES,
    ) -> None:
        """`trusting`: take what this machine remembers of earlier deliveries for granted, once the parent run is found.

        Nothing is written or asked before `open`.
        """
        self.plan, self.folder, self.uri, self.experiment_name = plan, folder, uri, experiment
        self.failures, self.trusting, self.figures = failures, trusting, figures
        self.delivered = Delivered(folder, plan.spec.name, uri, experiment)
        self.opened = False
        self.live = True
        self.launched: str | None = None
        self._lock = FileLock(self.delivered.lock)
        self._children: dict[str, Child] = {}
        self._doubted = False
        """A run that we remembered is gone."""
        self._searched = False
        """Whether `_children` has every run there is: a job that is not in it has none."""

    # ---- the sweep ---------------------------------------------------------------------------------------------------

    def open(self, results: Sequence[JobResult] = (), live: bool = True) -> None:
        """Find or make the experiment and the parent run. `live`: a launch is training, so the parent is RUNNING.

        Raises Unavailable, also where another process is delivering the same sweep.
        """
        self.live = live
        with self._reaching(None):
            self.delivered.lock.parent.mkdir(parents=True, exist_ok=True)
            if not self._lock.is_locked:
                self._lock.acquire(timeout=0)
            make_sqlite(self.uri)
            forget_artifact_places()
            if settle(self.folder):
                self.delivered.forget()  # the folder is a copy, and what it remembered is the original's
            self.client = patient_client(self.uri)
            artifacts = artifact_root(self.folder, self.uri)
            self.experiment, restored = runs.open_experiment(self.client, self.experiment_name, artifacts)
            if restored:
                self._doubted, self.delivered.shown = True, None
            self.delivered.experiment = self.experiment
            name = self.plan.spec.name
            shown = views.sweep_views(name, self.experiment_name, views.groups_of(self.plan))
            views.write(self.client, self.experiment, shown.all)
            keep_experiment(self.folder, self.plan.spec.name, self.experiment_name)
            known = partial(runs.known_id, self.client, self.experiment, self.plan.spec.name, self.delivered.parent)
            self.runs_id = runs_id(self.folder, known)
            self._find_children(self._find_parent(results))
            self._mark_dropped()
            self.opened = True
            self.delivered.save(now=True)

    def close(
        self, state: str, results: Sequence[JobResult], texts: Texts = no_texts, end: float | None = None
    ) -> None:
        """Complete the parent run: the comparison, the tables, its state. `end` in unix seconds, by default now."""
        with self._reaching(None):
            done = sum(result.finished for result in results)
            tags = {"dfcil.jobs": f"{done} of {len(self.plan.jobs)} finished"}
            if self.launched:
                tags |= [describe.launch_tag(self.launched, state)]
            shown = describe.shown(self.plan, results, with_texts=texts is not no_texts)
            new = self.delivered.shown != shown
            told = texts(results) if new else {}
            if len(told.get("results.md", "")) in range(1, describe.TAG_LIMIT):
                tags["mlflow.note.content"] = told["results.md"]
            self.client.log_batch(self.parent, tags=_tags(tags))
            if new:
                self._log_texts(told)
                pictures.send_comparison(self.client, self.parent, results, self.figures)
                self.delivered.shown = shown
            self.client.set_terminated(self.parent, state, milliseconds(end) if end else None)
        self.delivered.save(now=True)

    def release(self) -> None:
        """Let another process deliver this sweep."""
        self._lock.release()

    def _find_parent(self, results: Sequence[JobResult]) -> bool:
        """Set `self.parent`; say whether it is the run that this machine remembered."""
        if parent := runs.living(self.client, self.delivered.parent, self.experiment):
            remembered = True
        else:
            self.delivered.forget()
            remembered = False
            tags = describe.sweep_tags(self.plan, self.runs_id)
            identity = {name: tags[name] for name in (describe.SWEEP, describe.RUNS, describe.KIND)}
            found = runs.search(self.client, self.experiment, identity)
            started = [record["started"] for result in results for record in result.records.values()]
            start = milliseconds(min(started)) if started else None
            name = self.plan.spec.name
            parent = found[0] if found else self.client.create_run(self.experiment, start, tags, name)
        self.parent = self.delivered.parent = parent.info.run_id
        if self.live:
            if parent.info.status != "RUNNING":
                self.client.update_run(self.parent, "RUNNING")
            if self.launched is None:
                self.launched = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
                self.client.set_tag(self.parent, *describe.launch_tag(self.launched, "RUNNING"))
        if not remembered:
            self._log_texts({})
        return remembered

    def _log_texts(self, texts: Mapping[str, str]) -> None:
        """What was asked for, and what came of it, beside the parent run."""
        plan = json.dumps(describe.plan_artifact(self.plan), indent=1)
        for name, text in {"spec.yaml": self.plan.spec.text, "plan.json": plan, **texts}.items():
            self.client.log_text(self.parent, text, name)

    def _find_children(self, remembered: bool) -> None:
        if remembered and self.trusting and not self._doubted:
            known = self.delivered.jobs.items()
            self._children = {job: Child(**child) for job, child in known}
            return
        identity = {describe.SWEEP: self.plan.spec.name, describe.RUNS: self.runs_id, describe.KIND: "job"}
        found = runs.search(self.client, self.experiment, identity)
        self._children = runs.by_job(self.client, found)
        for run in found:
            # The parent was deleted by hand and made anew: its children move to the new one.
            if run.data.tags.get(describe.PARENT) != self.parent:
                self.client.set_tag(run.info.run_id, describe.PARENT, self.parent)
        self.delivered.jobs = {}
        for job, child in self._children.items():
            self._remember(job, child)
        self._searched, self._doubted = True, False

    def _mark_dropped(self) -> None:
        """Tell the runs of jobs that the spec has no more from the others; mark those that it has again."""
        current = {job.id for job in self.plan.jobs}
        for job, child in self._children.items():
            if child.in_spec == (job in current):
                continue
            child.in_spec = job in current
            self.client.set_tag(child.run, describe.IN_SPEC, "yes" if child.in_spec else "no")
            # Asked for: a launcher that was killed has not noted all it did.
            if not child.in_spec and self.client.get_run(child.run).info.status == "RUNNING":
                self.client.set_terminated(child.run, "KILLED")
                child.state = "KILLED"
            self._remember(job, child)

    # ---- a job -------------------------------------------------------------------------------------------------------

    def deliver(self, result: JobResult, ended: str | None = None) -> None:
        """Send what is new of a job. `ended`: FAILED or KILLED where it will not go on; a finished job is FINISHED.

        A job of which nothing is finished has no run, unless it failed. Raises Unavailable.
        """
        job = result.job
        with self._reaching(job.id):
            stop = finished_in_order(result)
            state = "FINISHED" if stop == len(job.stages) else ended or "RUNNING"
            child = self._child(job)
            if child is not None and not describe.replaced(result) <= set(child.replaced.split()):
                self._retire(job, child)
                child = None
            if child is None:
                if not stop and state != "FAILED":
                    return
                child = self._create(result)
            stop = self._worth_a_call(result, child.stages, stop) if state == "RUNNING" else stop
            if child.stages < stop:
                if self.live and child.state != "RUNNING":
                    self._set_state(job, child, "RUNNING", None)
                self._send(result, child, stop)
            if state == "FAILED":
                self._fail(result, child)
            elif state not in ("RUNNING", child.state):
                self._end(result, child, state)
            elif not self.trusting and state == "FINISHED" and not pictures.knows_classes(self.client, child.run):
                pictures.send_job(self.client, child.run, self.plan, result, self.folder, self.figures)
        self.delivered.save()

    def _worth_a_call(self, result: JobResult, start: int, stop: int) -> int:
        """Where to stop for now: what comes after the latest accuracy is sent with the next, unless it took long."""
        for position in range(stop, start, -1):
            key = result.job.stages[position - 1]
            if self.plan.stages[key].recipe.kind == "learn" or result.records[key]["seconds"] >= _LONG:
                return position
        return start

    def send_model(self, result: JobResult) -> None:
        """Log the final network of a finished job that is delivered, unless it is there. Raises Unavailable.

        Raises DamagedStage where the store no longer has it as it was written.
        """
        job = result.job
        with self._reaching(job.id):
            child = self._child(job)
            if child is None or child.model:
                return
            from orchestrator.tracking import models

            last = job.learn[-1]
            assert last is not None  # every job trains its last task
            stage = self.plan.stages[last]
            folder = Store(self.folder).folder(stage)
            models.send(self.client, self.experiment, child.run, job, stage, check(folder, stage.key), folder)
            child.model = True
            self._remember(job.id, child)
        self.delivered.save()

    def _child(self, job: Job) -> Child | None:
        """The job's run, if it has one."""
        identity = job.id
        if identity not in self._children and not self._searched:
            # Several sweeps may share an experiment, and a job.
            tags = {describe.JOB: identity, describe.RUNS: self.runs_id, describe.SWEEP: self.plan.spec.name}
            found = runs.by_job(self.client, runs.search(self.client, self.experiment, tags))
            self._children |= found
        return self._children.get(identity)

    def _retire(self, job: Job, child: Child) -> None:
        """The run tells numbers that have been computed again to others: it stays, and the job gets a new one."""
        identity = job.id
        self.client.set_tag(child.run, describe.IN_SPEC, "no")
        if child.state == "RUNNING":
            self.client.set_terminated(child.run, "KILLED")
        # The last: until then it is the job's.
        self.client.set_tag(child.run, describe.JOB, f"{identity}-replaced-{child.run}")
        self._children.pop(identity, None)
        self.delivered.jobs.pop(identity, None)

    def _create(self, result: JobResult) -> Child:
        job = result.job
        started = [record["started"] for record in result.records.values()]
        tags = describe.job_tags(self.plan, job, self.runs_id, self.parent)
        tags[describe.DELIVERED] = self._progress(job, 0)
        replaced = " ".join(sorted(describe.replaced(result)))[: describe.TAG_LIMIT]
        tags |= {describe.REPLACED: replaced} if replaced else {}
        start = milliseconds(min(started)) if started else None
        run = self.client.create_run(self.experiment, start, tags, job.name)
        child = Child(run.info.run_id, 0, "RUNNING", fresh=True, replaced=replaced)
        self._children[job.id] = child
        self._remember(job.id, child)
        return child

    def _send(self, result: JobResult, child: Child, stop: int) -> None:
        """The points and images of the stages that are not delivered yet; before the first, the job's parameters."""
        job, start = result.job, child.stages
        params = self._missing_params(job, child) if start == 0 else []
        if start == 0:
            self.client.log_inputs(child.run, datasets=[self._dataset()])
        stages = [self.plan.stages[key] for key in job.stages[start:stop]]
        pictures.send_dreams(self.client, child, self.folder, stages, result.records)
        tags = _tags({**describe.provenance_tags(result), describe.DELIVERED: self._progress(job, stop)})
        metrics = [Metric(p.key, p.value, p.time, p.step) for p in points(self.plan, result, start, stop)]
        size = _BATCH - len(params) - len(tags)
        batches = [metrics[first : first + size] for first in range(0, len(metrics), size)]
        for number, batch in enumerate(batches, start=1):
            # The parameters go with the first batch, the note of what is delivered with the last.
            noted = tags if number == len(batches) else []
            self.client.log_batch(child.run, batch, params if number == 1 else [], noted)
        child.stages = stop
        self._remember(job.id, child)

    def _missing_params(self, job: Job, child: Child) -> list[Param]:
        """The parameters that the run lacks: those it has are never written again."""
        known = {} if child.fresh else self.client.get_run(child.run).data.params
        wanted = describe.job_params(self.plan, job)
        return [Param(name, value) for name, value in wanted.items() if name not in known]

    def _dataset(self) -> DatasetInput:
        info = self.plan.spec.dataset.info
        digest = info.digest if len(info.digest) <= 36 else fingerprint(info.digest)[:36]
        return DatasetInput(
            Dataset(name=info.called or info.name, digest=digest, source_type="code", source=info.source),
            [InputTag("mlflow.data.context", "training")],
        )

    def _fail(self, result: JobResult, child: Child) -> None:
        failure = self.failures.jobs[result.job.id]
        if child.state == "FAILED" and child.failure == failure["time"]:
            return
        self.client.set_tag(child.run, describe.ERROR, failure["error"][: describe.TAG_LIMIT])
        if failure.get("log"):
            self.client.set_tag(child.run, describe.LOG, failure["log"][: describe.TAG_LIMIT])
        self.client.log_text(child.run, failure["traceback"], "error/traceback.txt")
        self._end(result, child, "FAILED", failure["time"])
        child.failure = failure["time"]

    def _end(self, result: JobResult, child: Child, state: str, *ends: float) -> None:
        """The job's pictures, and its run's state; it ended with its last record, or later at one of `ends`."""
        pictures.send_job(self.client, child.run, self.plan, result, self.folder, self.figures)
        if state == "FINISHED" and not child.fresh:
            for tag in (describe.ERROR, describe.LOG):
                with suppress(MlflowException):  # there is no such tag unless it failed before
                    self.client.delete_tag(child.run, tag)
        end = max(*ends, *(record["ended"] for record in result.records.values()), 0)
        self._set_state(result.job, child, state, milliseconds(end))

    def _set_state(self, job: Job, child: Child, state: str, end: int | None) -> None:
        if state == "RUNNING":
            self.client.update_run(child.run, state)
        else:
            self.client.set_terminated(child.run, state, end)
        child.state = state
        self._remember(job.id, child)
        # A launcher that is killed now must not leave a run that we believe to have ended.
        self.delivered.save(now=state == "RUNNING")

    def _progress(self, job: Job, stages: int) -> str:
        return f"{stages} of {len(job.stages)} stages"

    def _remember(self, job: str, child: Child) -> None:
        kept = ("run", "stages", "state", "in_spec", "model", "replaced")
        self.delivered.jobs[job] = {name: getattr(child, name) for name in kept}

    # ---- what can go wrong -------------------------------------------------------------------------------------------

    def _reaching(self, job: str | None) -> AbstractContextManager[None]:
        return reaching(self.uri, lambda error: self._distrust(job, error))

    def _distrust(self, job: str | None, error: Exception) -> None:
        """After a failure, ask the tracking store again for what we thought we knew of it."""
        self.opened = False
        if getattr(error, "error_code", None) in _GONE:
            self._doubted = True  # of the other runs as well
        if job is not None:
            self.delivered.jobs.pop(job, None)
            self._searched = False


def _tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in tags.items()]
