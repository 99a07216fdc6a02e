"""The thread that delivers a sweep to MLflow while it trains, and the command that delivers it afterwards.

Training never waits for MLflow: `deliver` puts a job's newest result where the thread takes it from. A tracking store
that is down costs a warning; what it missed is delivered when it is back, by the next launch, or by `sync`.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from orchestrator.errors import UserError
from orchestrator.plan.plan import Job, Plan
from orchestrator.results.job_result import JobResult, job_result
from orchestrator.signals import interrupts_deferred
from orchestrator.store.failures import Failures
from orchestrator.text import printable
from orchestrator.tracking.delivered import experiment_name
from orchestrator.tracking.environment import prepare_client
from orchestrator.tracking.figures import NO_FIGURES, Figures, Texts, no_texts
from orchestrator.tracking.up_to_date import Remembered
from orchestrator.tracking.uri import tracking_uri, without_password

if TYPE_CHECKING:
    from orchestrator.tracking.writer import Writer

# Loading mlflow takes a core for a second or two, which the workers that come up then need more: seconds until then,
# unless there is something to deliver.
_HEAD_START = 5.0
# So many deliveries in a row that fail, and the tracking store counts as down until the next try.
_DOWN = 2


def _warn(text: str) -> None:
    print(f"warning: {printable(text)}", file=sys.stderr)


def _nothing() -> None:
    """What is sent to find out whether the tracking store is there."""


class Tracker:
    """Delivers one launch of a sweep. A context manager: leaving it by an exception ends the runs accordingly.

    `start` is the first call and `finish` the last; between them `deliver` and `job_failed`, from any thread.
    """

    def __init__(
        self,
        plan: Plan,
        runs: Path,
        uri: str | None = None,
        experiment: str | None = None,
        warn: Callable[[str], None] = _warn,
        retry_every: float = 30.0,
        log_models: bool = False,
        figures: Figures = NO_FIGURES,
    ) -> None:
        """`uri` and `experiment` by default as `tracking_uri` and `experiment_name` say.

        `warn` is given one text when something cannot be delivered; it is called from the tracker's thread.
        Raises UserError for a wrong uri.
        `log_models`: log the final network of each finished job, when nothing else is to be delivered.
        `figures` makes the pictures of the runs, in the tracker's thread.
        """
        self.plan, self.runs = plan, runs
        self.uri = tracking_uri(runs, uri)
        self.experiment = experiment_name(runs, plan.spec.name, experiment)
        self.failures = Failures(runs, plan.spec.name)
        self._warn, self._retry_every, self._log_models, self._figures = warn, retry_every, log_models, figures
        self._changed = threading.Condition()
        self._pending: dict[str, JobResult] = {}
        self._latest: dict[str, JobResult] = {}
        self._refused: dict[str, JobResult] = {}
        self._models: dict[str, JobResult] = {}
        """Finished jobs whose model is still to be logged."""
        self._failed: set[str] = set()
        self._remembered = Remembered(plan, runs, self.uri, self.experiment)
        self._working = False
        self._news = False
        """Whether there is anything to deliver that was not delivered before."""
        self._ending: tuple[str, Sequence[JobResult], Texts] | None = None
        self._warned = False
        self._error: BaseException | None = None
        self._undelivered = 0
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)

    def __enter__(self) -> "Tracker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        # A second Ctrl-C, or the first in the midst of the end, must not leave runs that look as if they went on.
        with interrupts_deferred():
            if self._ending is None:
                stopped = issubclass(kind, KeyboardInterrupt)
                self.finish("KILLED" if stopped else "FAILED", list(self._latest.values()))
            self._thread.join()

    def start(self) -> None:
        """Begin to deliver. Returns at once: mlflow is imported and the tracking store reached in the thread."""
        self._thread.start()

    def working(self) -> None:
        """Say that stages are going to be run: the sweep is to be seen at work, also before there is a result."""
        with self._changed:
            self._working = True
            self._changed.notify()

    def deliver(self, result: JobResult) -> None:
        """Deliver what is new of a job. Cheap, and idempotent: of several results only the latest is looked at."""
        identity = result.job.id
        if result.finished:
            self.failures.mended(identity)
        with self._changed:
            self._latest[identity] = self._pending[identity] = result
            self._news = self._news or identity in self._failed or not self._remembered.has(result)
            if result.finished and self._log_models:
                self._models[identity] = result
            self._refused.pop(identity, None)
            self._changed.notify()

    def job_failed(self, job: Job, error: str, traceback: str, stage: str = "", log: str = "") -> None:
        """Note that a job failed; its run becomes FAILED, with the error in its tags and the traceback beside.

        `stage` is the key of the stage that failed, `log` the file with what it printed.
        """
        identity = job.id
        self.failures.add(identity, error, traceback, stage, log)
        self._failed.add(identity)
        self.deliver(self._latest.get(identity) or job_result(job, {}))

    def finish(self, state: str, results: Sequence[JobResult], texts: Texts = no_texts) -> int:
        """Deliver all that is left and end the runs; the number of jobs that could not be delivered.

        `state` is the sweep's: FINISHED, FAILED or KILLED. `results` are those of all jobs. `texts` is asked for
        the sweep's tables, in the thread, unless its run has them. Raises what went wrong in the thread, where that was
        a bug of ours.
        """
        for result in results:
            if result.finished:
                self.failures.mended(result.job.id)
        with self._changed:
            self._ending = (state, results, texts)
            self._pending |= {result.job.id: result for result in results}
            if self._log_models:
                self._models |= {result.job.id: result for result in results if result.finished}
            self._refused.clear()
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._undelivered

    # ---- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._working or self._news or self._ending)
                self._changed.wait_for(lambda: self._news or self._ending, timeout=_HEAD_START)
            if self._nothing_new():
                return
            prepare_client()
            from orchestrator.tracking.writer import Writer

            writer = Writer(self.plan, self.runs, self.uri, self.experiment, self.failures, figures=self._figures)
            try:
                self._live(writer)
                self._end(writer)
            finally:
                writer.release()
        except BaseException as error:  # handed to the main thread by `finish`
            self._error = error

    def _nothing_new(self) -> bool:
        """Whether the sweep has ended, and the tracking store has said so since an earlier launch.

        It is not told of this one, then: to load mlflow for that would be all that the launch does.
        """
        if self._ending is None or self.failures.jobs:
            return False
        state, results, texts = self._ending
        with_texts = texts is not no_texts
        return state == "FINISHED" and self._remembered.all_finished(results, with_texts, self._log_models)

    def _live(self, writer: "Writer") -> None:
        """Deliver as results come, until the sweep ends."""
        failed_in_a_row = 0 if self._attempt(writer, _nothing) else _DOWN
        retry_at = time.monotonic() + self._retry_every
        while True:
            with self._changed:
                if self._ending is not None:
                    return
                down = failed_in_a_row >= _DOWN
                wait = max(0.0, retry_at - time.monotonic()) if down or self._refused else None
                if wait == 0.0:
                    self._pending = {**self._refused, **self._pending}
                    self._refused.clear()
                    failed_in_a_row = 0
                    retry_at = time.monotonic() + self._retry_every
                elif down or not (self._pending or self._models):
                    self._changed.wait(wait)
                    continue
                send, give_back = self._next(writer)
            if self._attempt(writer, send):
                failed_in_a_row = 0
                continue
            failed_in_a_row += 1
            retry_at = time.monotonic() + self._retry_every
            with self._changed:
                give_back()

    def _next(self, writer: "Writer") -> tuple[Callable[[], None], Callable[[], object]]:
        """What to send now, and what to do where it was not taken. Numbers come before models, which take seconds."""
        if self._pending:
            identity = next(iter(self._pending))
            result, ended = self._pending.pop(identity), "FAILED" if identity in self._failed else None
            return partial(writer.deliver, result, ended), partial(self._refuse, identity, result)
        if self._models:
            identity = next(iter(self._models))
            result = self._models.pop(identity)
            return partial(self._send_model, writer, result), partial(self._models.setdefault, identity, result)
        # Nothing to send after an outage: the parent run is still to be found or made.
        return _nothing, _nothing

    def _refuse(self, identity: str, result: JobResult) -> None:
        # By then a later result may wait, which says all that this one does.
        if identity not in self._pending:
            self._refused[identity] = result

    def _send_model(self, writer: "Writer", result: JobResult) -> None:
        send_model(writer, result, self._warn)

    def _end(self, writer: "Writer") -> None:
        """Deliver the rest and the ends; stop asking a tracking store that is down."""
        assert self._ending is not None  # what `_live` has waited for
        state, results, texts = self._ending
        left, failed_in_a_row = list(reversed(self._pending.values())), 0
        again: set[str] = set()
        while left and failed_in_a_row < _DOWN:
            result = left.pop()
            identity = result.job.id
            ended = "FAILED" if identity in self.failures.jobs else "KILLED"
            if self._attempt(writer, partial(writer.deliver, result, ended)):
                failed_in_a_row = 0
                continue
            failed_in_a_row += 1
            if identity in again:
                self._undelivered += 1
            else:  # what we remembered of its run may have been wrong, and the writer has dropped that now
                again.add(identity)
                left.insert(0, result)
        self._undelivered += len(left)
        complete = True
        # Whoever stops a launch does not want to wait for models: the next one, or `sync`, logs them.
        models = list(self._models.values()) if state != "KILLED" and not self._undelivered else []
        for result in models:
            complete = complete and self._attempt(writer, partial(self._send_model, writer, result))
        # A store that is down would have us wait for it once more.
        down = failed_in_a_row >= _DOWN
        complete = not down and self._attempt(writer, partial(writer.close, state, results, texts)) and complete
        if self._undelivered or not complete:
            self._warn(
                f"MLflow at {without_password(self.uri)} lacks results of {self._undelivered} jobs; they are safe in "
                f"{self.runs}. Deliver them with: dfcil-sweep sync {self.plan.spec.name}"
            )

    def _attempt(self, writer: "Writer", send: Callable[[], None]) -> bool:
        """Whether the tracking store took what `send` sends."""
        from orchestrator.tracking.faults import Unavailable

        try:
            if not writer.opened:
                writer.open(list(self._latest.values()))
            send()
        except Unavailable as error:
            if not self._warned:
                self._warned = True
                self._warn(f"MLflow at {without_password(self.uri)} takes no results now, training goes on: {error}")
            return False
        return True


def send_model(writer: "Writer", result: JobResult, warn: Callable[[str], None]) -> None:
    """Log the model of a finished job; a warning where the store no longer has the network as it was written."""
    from orchestrator.store.stage_folder import DamagedStage

    try:
        writer.send_model(result)
    except DamagedStage as damage:
        warn(f"no model of {result.job.name} is logged: {damage}")


def sync(
    plan: Plan,
    runs: Path,
    uri: str | None = None,
    experiment: str | None = None,
    texts: Texts = no_texts,
    warn: Callable[[str], None] = _warn,
    log_models: bool = False,
    figures: Figures = NO_FIGURES,
) -> int:
    """Make the tracking store tell what the store knows of a sweep: rebuild what is lost, complete what is partial.

    What is there is asked of the tracking store itself, not of what this machine remembers. A job that is not finished
    and did not fail is KILLED. A record that cannot be read counts as none, with a warning. `texts` is as for
    `Tracker.finish`, `log_models` and `figures` as for `Tracker`. The number of jobs delivered.
    Raises UserError where the tracking store cannot be reached.
    """
    prepare_client()
    from orchestrator.results.read import read_results
    from orchestrator.store.store import Store
    from orchestrator.tracking.faults import Unavailable
    from orchestrator.tracking.writer import Writer

    address = tracking_uri(runs, uri)
    results = read_results(plan, Store(runs), lambda stage, why: warn(f"{stage.folder} is left out: {why}")).of_jobs()
    known = [result for result in results if result.records]
    failures = Failures(runs, plan.spec.name)
    name = experiment_name(runs, plan.spec.name, experiment)
    writer = Writer(plan, runs, address, name, failures, trusting=False, figures=figures)
    try:
        writer.open(known, live=False)
        for result in results:
            if result.finished:
                failures.mended(result.job.id)
            writer.deliver(result, "FAILED" if result.job.id in failures.jobs else "KILLED")
            if log_models and result.finished:
                send_model(writer, result, warn)
        ends = [record["ended"] for result in known for record in result.records.values()]
        failed = any(job.id in failures.jobs for job in plan.jobs)
        state = "FAILED" if failed else "FINISHED" if all(r.finished for r in results) else "KILLED"
        writer.close(state, results, texts, max(ends, default=None))
    except Unavailable as error:
        text = f"MLflow at {without_password(address)} cannot be written to: {error}"
        raise UserError(f"{text}\nThen run the command again; what was delivered is not sent twice") from error
    finally:
        writer.release()
    return len(known)
