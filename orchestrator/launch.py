"""A launch, from Python: what the command line calls, and what `import orchestrator` offers.

This is the one place where the options are read, the store is opened and the workers are counted; `tune` shares it.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfcil_core.processor import multiplies_bfloat16
from orchestrator.engine.events import Event, Outcome, StageFailed, StageFinished, StageRecomputed
from orchestrator.engine.options import CAPTURE, Options
from orchestrator.errors import UserError, require_choice
from orchestrator.notify import notifying, require_command
from orchestrator.plan.choose import Only, choose
from orchestrator.plan.plan import Plan
from orchestrator.preview import plan_of, runs_folder
from orchestrator.results.job_result import JobResult
from orchestrator.results.read import Results, read_results
from orchestrator.spec.given import Spec, read_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.status import DONE, FAILED, lacked_files, stages_failed
from orchestrator.store import sweep_folder
from orchestrator.store.launchers import announced
from orchestrator.store.recomputing import Recomputing
from orchestrator.store.store import Store
from orchestrator.text import printable

if TYPE_CHECKING:
    from pandas import DataFrame

    from orchestrator.cluster.profile import Profile
    from orchestrator.cluster.select import Scheduler
    from orchestrator.tracking import Tracker


@dataclass(frozen=True)
class LaunchBegan:
    """The launch is written down; now it goes to work."""

    plan: Plan
    """Of the jobs that are run: all of the sweep's, or those that `only` chooses."""
    workers: int
    """Stages at a time."""
    records: Mapping[str, Mapping[str, Any]]
    """Key of each stage of theirs that is in the store already to its record."""
    changes: sweep_folder.Changes
    """Of the sweep of the same name that was launched before."""


@dataclass(frozen=True)
class JobAdvanced:
    """A stage of the job has finished. Of a stage that several jobs share comes one for each."""

    result: JobResult


LaunchEvent = Event | LaunchBegan | JobAdvanced


@dataclass(frozen=True)
class LaunchOutcome:
    """How a launch ended. It is true as of then: `results` alone is read from the store when it is asked for."""

    plan: Plan
    """Of the whole sweep."""
    runs: Path
    jobs: Mapping[str, str]
    """Name of each job that was run (with `only`, of each that it chooses) to its state: `done` or `failed`."""
    stages_run: int
    stages_reused: int
    """Stages that were in the store, or came there from another launcher."""
    failures: Mapping[str, StageFailed]
    """By the stage's key. Those of earlier launches too, which are not started again without `retry_failed`."""
    freed: int
    """Stages whose checkpoints were removed, because nothing needs them any more."""
    freed_bytes: int
    recomputed: Mapping[str, StageRecomputed]
    """By the stage's key: what `recompute` did again, and whether it came out as before (its `aside` is None then)."""
    undelivered: int
    """Jobs whose results MLflow lacks: it could not be reached. `dfcil-sweep sync` delivers them."""
    job_results: Sequence[JobResult]
    """Of every job of the sweep, in the plan's order, as of then."""

    @property
    def ok(self) -> bool:
        """Whether every job of `jobs` is done."""
        return not self.failures

    @property
    def failed_jobs(self) -> list[str]:
        """The names of the jobs that need a stage that has failed."""
        return [name for name, state in self.jobs.items() if state == FAILED]

    @cached_property
    def results(self) -> "DataFrame":
        """A row a job, with the columns of `reports.frame.COLUMNS`, as `reports.load` gives them."""
        import reports

        return reports.load(self.plan.spec.name, runs=str(self.runs))


def _tell_of_device(planned: Plan, capture: str, warn: Callable[[str], None]) -> None:
    """Warn of `training.precision: bfloat16` on a processor that is quicker without, and of a capture on any."""
    if capture == "auto" and planned.device == "cpu":
        warn("--capture auto: there is no CUDA device; steps run one operator at a time, and records say so")
    asked = any(stage.recipe.training.get("precision") == "bfloat16" for stage in planned.stages.values())
    if asked and planned.device == "cpu" and not multiplies_bfloat16():
        warn(
            "training.precision: bfloat16: this processor does not multiply bfloat16 (it has neither AVX512-BF16 nor "
            "AMX); those stages are computed in float32, as fast as float32 is, and their records say so"
        )


def _print_warning(text: str) -> None:
    print(f"warning: {printable(text)}", file=sys.stderr)


def launch(
    spec: Spec,
    *,
    runs: str | Path | None = None,
    device: str = "auto",
    jobs: int | None = None,
    per_gpu: int = 1,
    gpus: str | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    log_models: bool = False,
    notify: str | None = None,
    only: Sequence[Only] = (),
    retry_failed: bool = False,
    recompute: bool = False,
    save_every: float = 60.0,
    keep: str = "needed",
    capture: str = "off",
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    plugin: str | Path | None = None,
    rehearse: bool = False,
    cluster: str | None = None,
    profile: str | Path | None = None,
    scheduler: str | None = None,
    tls_ca: str | Path | None = None,
    tls_cert: str | Path | None = None,
    tls_key: str | Path | None = None,
    on_event: Callable[[LaunchEvent], None] = lambda event: None,
    warn: Callable[[str], None] = _print_warning,
) -> LaunchOutcome:
    """Run what is not in the store yet of a sweep's jobs, and track it with MLflow. Blocks until it is over.

    The options are those of `dfcil-sweep launch` (`overrides` are its `--set`: `["training.lr=0.05"]`), with the same
    defaults. `only` has texts (`["method=abd,seed=0"]`) or mappings (`[{"method": "abd", "seed": 0}]`): the jobs that
    one of them chooses are run, all where it is empty. `on_event` is called in this thread with what happens; what it
    raises ends the launch. `warn` is given a text where MLflow takes no results, a processor cannot do what is asked
    for, or `notify` fails; it is called from any thread, and by default writes to standard error.

    A stage that fails is in the outcome, and does not raise. Raises UserError (SpecError with every mistake of a spec)
    before anything is written, and where workers elsewhere cannot be had; KeyboardInterrupt on Ctrl-C and, in the main
    thread, on SIGTERM and `dfcil-sweep cancel`. Whatever is raised, what is finished is in the store.
    """
    from dfcil_core.data.catalog import IMAGE_FILES
    from orchestrator.spec.dataset import require_files
    from orchestrator.tracking import Tracker
    from reports.artifacts import FIGURES

    require_command(notify)
    require_choice("keep", keep, ("needed", "all"))
    require_choice("capture", capture, CAPTURE)
    elsewhere = workers_elsewhere(device, jobs, cluster, profile, scheduler, tls_ca, tls_cert, tls_key)
    planned = plan_of(read_spec(spec, overrides, data_root, plugin, rehearse), device, elsewhere is not None)
    chosen = choose(planned, only)
    if elsewhere is None or planned.spec.dataset.info.name in IMAGE_FILES:
        require_files(planned.spec.dataset)  # what is downloaded, or lies in `root`, lies where the work is done
    if elsewhere is None:
        _tell_of_device(planned, capture, warn)
    options = run_options(planned.spec, planned.device, jobs, per_gpu, gpus, elsewhere)
    options = replace(options, save_every=positive("save_every", save_every), free=keep == "needed", capture=capture)
    folder = writable_runs_folder(runs, tracking_uri)
    tracker = Tracker(planned, folder, tracking_uri, experiment, warn=warn, log_models=log_models, figures=FIGURES)
    about = {"command": "launch", "sweep": planned.spec.name, "runs": str(folder)}
    with notifying(notify, about, warn) as ended:
        outcome = _Launch(planned, chosen, folder, options, tracker, on_event).run(retry_failed, recompute)
        ended(outcome.ok, _summary(outcome))
    return outcome


def _summary(outcome: LaunchOutcome) -> dict[str, Any]:
    """What `--notify` is told of a launch that came to its end."""
    failed = len(outcome.failed_jobs)
    return {
        "jobs": {"done": len(outcome.jobs) - failed, "failed": failed, "of_sweep": len(outcome.plan.jobs)},
        "stages": {"run": outcome.stages_run, "reused": outcome.stages_reused},
        "failures": [
            {
                "stage": str(failure.stage),
                "error": failure.error,
                "log": str(failure.log),
                "jobs": [job.name for job in outcome.plan.jobs_of(key)],
            }
            for key, failure in outcome.failures.items()
        ],
        "recomputed": {
            "same": sum(event.aside is None for event in outcome.recomputed.values()),
            "other": [str(event.stage) for event in outcome.recomputed.values() if event.aside is not None],
        },
        "undelivered": outcome.undelivered,
    }


def workers_elsewhere(
    device: str,
    jobs: int | None,
    cluster: str | None = None,
    profile: str | Path | None = None,
    scheduler: str | None = None,
    tls_ca: str | Path | None = None,
    tls_cert: str | Path | None = None,
    tls_key: str | Path | None = None,
) -> "Profile | Scheduler | None":
    """Where the workers are that these options of `launch` speak of; None: on this machine. Raises UserError."""
    given = {"cluster": cluster, "profile": profile, "scheduler": scheduler}
    given |= {"tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key}
    if not any(given.values()):
        return None
    from orchestrator.cluster.select import chosen

    return chosen({name: value and str(value) for name, value in given.items()}, device, jobs)


# ---- what is given, read ---------------------------------------------------------------------------------------------


def writable_runs_folder(given: str | Path | None, tracking_uri: str | None) -> Path:
    """The runs folder, made. Raises UserError where nothing can be written there.

    And for a tracking address that cannot be: told first, that leaves no folder behind.
    """
    from orchestrator.tracking import tracking_uri as check_address

    folder = runs_folder(given)
    check_address(folder, tracking_uri)
    sweep_folder.require_writable(folder)
    return folder


def run_options(
    read: SweepSpec,
    device: str,
    jobs: int | None,
    per_gpu: int,
    gpus: str | None = None,
    elsewhere: "Profile | Scheduler | None" = None,
) -> Options:
    """How stages are run: so many at a time (`jobs`), by default one a core, or `per_gpu` a device (of `gpus`).

    Raises UserError for a number that is too small, and for `gpus` that are not there.
    """
    from orchestrator.cluster.device import chosen_devices, device_count

    positive("per_gpu", per_gpu)
    if gpus is not None and elsewhere is not None:
        raise UserError(
            f"--gpus {gpus}: chooses devices of this machine. Those of others are given by their batch system"
        )
    devices = None if gpus is None else chosen_devices(gpus, device)
    if jobs is not None:
        workers = int(positive("jobs", jobs))
    elif device == "cuda":
        workers = (device_count() if devices is None else len(devices)) * per_gpu
    else:
        workers = len(os.sched_getaffinity(0))
    # A worker runs in a folder of its own: what it is told must not depend on where it stands.
    root = str(Path(read.dataset.root or "data").expanduser().absolute())
    files = {file.sha256: file.path for file in read.first_models.values()}
    return Options(
        workers,
        device,
        data_root=root,
        per_gpu=per_gpu,
        gpus=devices,
        plugin=read.plugin,
        elsewhere=elsewhere,
        first_models=files,
    )


def positive(name: str, value: float) -> float:
    """The value of that option. Raises UserError for one that is not above 0."""
    if value <= 0:
        raise UserError(f"{name}: {value} is too small. It must be above 0")
    return value


# ---- a launch --------------------------------------------------------------------------------------------------------


class _Launch:
    """One launch: what the engine tells goes, job by job, to MLflow, and on to whoever listens.

    The sweep that is written down and tracked is the whole `plan`; what is run are the jobs of `chosen`, a part of it.
    """

    def __init__(
        self,
        plan: Plan,
        chosen: Plan,
        runs: Path,
        options: Options,
        tracker: "Tracker",
        emit: Callable[[LaunchEvent], None],
    ) -> None:
        self._plan, self._chosen, self._runs, self._options = plan, chosen, runs, options
        self._tracker, self._emit = tracker, emit
        self._store = Store(runs)
        self._results = Results(plan, self._store, {})
        self._folder = sweep_folder.sweep_folder(runs, plan.spec.name)
        self._running = {job.name for job in chosen.jobs}
        self._again = Recomputing(self._folder)
        self._recomputed: dict[str, StageRecomputed] = {}

    def run(self, retry_failed: bool, recompute: bool) -> LaunchOutcome:
        from orchestrator.engine import engine
        from reports.artifacts import result_tables

        plan, chosen = self._plan, self._chosen
        changes = sweep_folder.save(self._runs, plan)
        jobs = None if len(chosen.jobs) == len(plan.jobs) else sorted(self._running)
        if recompute:
            self._again = Recomputing.begin(self._folder, chosen.stages)
        with announced(self._folder, self._options.workers, jobs), self._tracker:
            # The engine tells of records that cannot be read, and does their stages again.
            self._results = read_results(plan, self._store, on_damaged=lambda stage, why: None)
            present = self._results.records.keys() & chosen.stages.keys() - self._again.left
            records = {key: self._results.records[key] for key in present}
            self._emit(LaunchBegan(chosen, self._options.workers, records, changes))
            for result in self._results.of_jobs():
                if result.records:
                    self._tracker.deliver(result)
            if chosen.stages.keys() - records.keys():
                self._tracker.working()
            given_up = {} if retry_failed or recompute else self._given_up()
            again = frozenset(self._again.left)
            outcome = engine.run(
                chosen, self._store, self._options, self._on_event, given_up, recompute=again, known=records
            )
            results = self._results.of_jobs()
            # A sweep of which a part was run is left as one that was stopped: the rest is for a later launch.
            whole = all(result.finished for result in results)
            state = "FAILED" if outcome.failed else "FINISHED" if whole else "KILLED"
            undelivered = self._tracker.finish(state, results, partial(result_tables, plan.spec))
        return self._outcome(outcome, undelivered)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, StageRecomputed):
            self._recomputed[event.stage.key] = event
        elif isinstance(event, StageFinished):
            self._again.done(event.stage.key)
            for result in self._results.add(event.stage, event.record):
                # Of a job that is computed again, not a mixture of old and new.
                if self._again.left.isdisjoint(result.job.stages):
                    self._tracker.deliver(result)
                    if result.name in self._running:
                        self._emit(JobAdvanced(result))
        elif isinstance(event, StageFailed):
            for job in self._plan.jobs_of(event.stage.key):
                self._tracker.job_failed(job, event.error, event.traceback, event.stage.key, str(event.log))
        self._emit(event)

    def _given_up(self) -> dict[str, StageFailed]:
        """The stages that raised when the sweep was launched before.

        Those whose process died are worth another try, and so are those whose files were not there.
        """
        failed = stages_failed(self._runs, self._chosen)
        known = {key: failure for key, failure in failed.items() if failure.traceback}
        return {key: failure for key, failure in known.items() if not lacked_files(failure.error)}

    def _outcome(self, outcome: Outcome, undelivered: int) -> LaunchOutcome:
        failed = {job.name for key in outcome.failed for job in self._chosen.jobs_of(key)}
        return LaunchOutcome(
            plan=self._plan,
            runs=self._runs,
            jobs={job.name: FAILED if job.name in failed else DONE for job in self._chosen.jobs},
            stages_run=outcome.done,
            stages_reused=outcome.reused,
            failures=outcome.failed,
            freed=outcome.freed,
            freed_bytes=outcome.freed_bytes,
            recomputed=self._recomputed,
            undelivered=undelivered,
            job_results=self._results.of_jobs(),
        )
