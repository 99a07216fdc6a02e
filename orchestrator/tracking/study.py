"""A search in MLflow: a run for the study, and nested under it a run for each trial.

A view of what the study's storage knows: all of it can be sent again and adds nothing. Tuning never waits for MLflow;
what a tracking store that is down has missed is sent at the end, or by the next launch of the tuner.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.tracking.delivered import runs_id
from orchestrator.tracking.environment import prepare_client
from orchestrator.tracking.uri import artifact_root, tracking_uri, without_password
from orchestrator.tracking.views import BY_STEP, study_view, write

STUDY, TRIAL = "dfcil.study", "dfcil.trial"
_STATES = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


@dataclass(frozen=True)
class TrialView:
    """A trial, as far as it is."""

    number: int
    state: str
    """COMPLETE, PRUNED, FAIL, RUNNING or WAITING."""
    published: bool
    settings: Mapping[str, Any]
    objective: str
    """What `steps` are of."""
    steps: Mapping[int, float]
    """The objective in percent after each task, the mean over splits and seeds."""
    values: Mapping[str, float]
    """The objectives of a completed trial."""
    begun: float | None
    """Unix seconds."""
    ended: float | None
    error: str = ""


@dataclass(frozen=True)
class Ending:
    """What the study's own run is given at the end."""

    state: str
    """FINISHED, FAILED or KILLED."""
    best: Mapping[str, Any] = field(default_factory=dict)
    """Parameters: the best settings, and what was measured of them."""
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] = ()
    """A folder stands for all files in it."""


class StudyTracker:
    """Delivers a search from a thread. `start` first, `finish` last; between them `deliver`."""

    def __init__(
        self, name: str, study: str, spec_text: str, runs: Path, uri: str | None, warn: Callable[[str], None]
    ) -> None:
        """`name` is the experiment, `study` the study's own name. Raises UserError for a wrong `uri`."""
        self.name, self.study, self.spec_text, self.runs = name, study, spec_text, runs
        self.uri = tracking_uri(runs, uri)
        self._warn, self._warned = warn, False
        self._changed = threading.Condition()
        self._pending: dict[int, TrialView] = {}
        self._ending: tuple[Sequence[TrialView], Ending] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mlflow-study", daemon=True)

    def start(self) -> None:
        """Begin to deliver; returns at once."""
        self._thread.start()

    def deliver(self, view: TrialView) -> None:
        """Deliver what is new of a trial."""
        with self._changed:
            self._pending[view.number] = view
            self._changed.notify()

    def finish(self, views: Sequence[TrialView], ending: Ending) -> None:
        """Deliver all that is not there yet, and end the study's run. Raises a bug of ours from the thread."""
        with self._changed:
            self._ending = (views, ending)
            self._changed.notify()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            prepare_client()
            writer = _Writer(self)
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._pending or self._ending)
                    pending, self._pending = self._pending, {}
                    ending = self._ending
                if ending:
                    self._attempt(partial(writer.end, *ending), last=True)
                    return
                self._attempt(partial(writer.send, pending.values()))
        except BaseException as error:  # handed to the main thread by `finish`
            self._error = error

    def _attempt(self, send: Callable[[], None], last: bool = False) -> None:
        from orchestrator.tracking.faults import STORE_ERRORS, told

        try:
            send()
        except STORE_ERRORS as error:
            text = told(error, self.uri)
            where = without_password(self.uri)
            if last:
                again = "the same command sends what it lacks"
                self._warn(f"MLflow at {where} lacks some of the search, which is safe in the study; {again}: {text}")
            elif not self._warned:
                self._warn(f"MLflow at {where} takes nothing now, the search goes on: {text}")
            self._warned = True


class _Writer:
    """The MLflow side of one study; used by one thread."""

    def __init__(self, tracker: StudyTracker) -> None:
        self._tracker = tracker
        self._parent: str | None = None
        self._children: dict[int, str] = {}
        self._sent: dict[int, TrialView] = {}
        self._shown: tuple[list[str], list[str]] = [], []

    def send(self, views: Iterable[TrialView]) -> None:
        """Send trials that are new, or other than what was sent."""
        parent = self._open()
        for view in views:
            if self._sent.get(view.number) != view:
                self._send(view, parent)
                self._sent[view.number] = view
        self._show(self._sent.values())

    def _show(self, views: Iterable[TrialView]) -> None:
        """The page of all trials, with a column for each objective and setting."""
        objectives = {name: None for view in views for name in (view.objective, *view.values)}
        settings = {path: None for view in views for path in view.settings}
        if (list(objectives), list(settings)) != self._shown:
            self._shown = list(objectives), list(settings)
            write(self._client, self._experiment, [study_view(self._tracker.name, *self._shown)])

    def end(self, views: Sequence[TrialView], ending: Ending) -> None:
        """Send the rest, and what belongs to the study's own run."""
        from mlflow.entities import Param, RunTag

        self.send(views)
        parent = self._open()
        known = self._client.get_run(parent).data.params
        params = []
        for name, value in ending.best.items():
            text = str(value)
            if name in known and known[name] != text:
                # MLflow never changes a parameter: what a longer search has found stands beside it.
                name = f"{name}.after_{len(views)}_trials"
            if name not in known:
                params.append(Param(name, text))
        tags = [RunTag(name, value) for name, value in ending.tags.items()]
        self._client.log_batch(parent, params=params, tags=tags)
        for path in ending.files:
            if path.is_dir():
                self._client.log_artifacts(parent, str(path), path.name)
            else:
                self._client.log_artifact(parent, str(path))
        self._client.set_terminated(parent, ending.state)

    def _open(self) -> str:
        """The study's run. Finds or makes it and its experiment, once."""
        if self._parent is not None:
            return self._parent
        from orchestrator.tracking import describe, runs
        from orchestrator.tracking.database import forget_artifact_places, make_sqlite
        from orchestrator.tracking.moved import settle
        from orchestrator.tracking.patient import patient_client

        tracker = self._tracker
        make_sqlite(tracker.uri)
        forget_artifact_places()
        settle(tracker.runs)
        self._client = patient_client(tracker.uri)
        self._experiment, _ = runs.open_experiment(self._client, tracker.name, artifact_root(tracker.runs, tracker.uri))
        self._tags = {STUDY: tracker.study, describe.RUNS: runs_id(tracker.runs)}
        wanted = {**self._tags, describe.KIND: "study"}
        found = runs.search(self._client, self._experiment, wanted)
        parent = found[0] if found else self._client.create_run(self._experiment, None, wanted, f"tune {tracker.study}")
        if parent.info.status != "RUNNING":
            self._client.update_run(parent.info.run_id, "RUNNING")
        self._client.log_text(parent.info.run_id, tracker.spec_text, "spec.yaml")
        trials = runs.search(self._client, self._experiment, {**self._tags, describe.KIND: "trial"})
        self._children = {int(run.data.tags[TRIAL]): run.info.run_id for run in trials}
        for run in trials:
            if run.data.tags.get(describe.PARENT) != parent.info.run_id:
                self._client.set_tag(run.info.run_id, describe.PARENT, parent.info.run_id)
        run_id: str = parent.info.run_id
        self._parent = run_id
        return run_id

    def _send(self, view: TrialView, parent: str) -> None:
        from mlflow.entities import Metric, Param, RunTag

        from orchestrator.tracking import describe

        begun = round(1000 * (view.begun or 0))
        run = self._children.get(view.number)
        if run is None:
            tags = {**self._tags, describe.KIND: "trial", TRIAL: str(view.number), describe.PARENT: parent}
            made = self._client.create_run(self._experiment, begun or None, tags, f"trial {view.number}")
            run = self._children[view.number] = made.info.run_id
        # Optuna keeps no times of values in between: one that is always the same lets MLflow keep a point once.
        steps = [Metric(view.objective + BY_STEP, value, begun + step, step) for step, value in view.steps.items()]
        ended = round(1000 * view.ended) if view.ended else None
        totals = [Metric(name, value, ended or begun, 0) for name, value in view.values.items()]
        params = [Param(path, str(value)) for path, value in view.settings.items()]
        tags = {"state": view.state.lower(), **({"error": view.error[: describe.TAG_LIMIT]} if view.error else {})}
        if view.published:
            tags["published"] = "yes"
        self._client.log_batch(run, steps + totals, params, [RunTag(name, value) for name, value in tags.items()])
        if view.state in _STATES:
            self._client.set_terminated(run, _STATES[view.state], ended)
