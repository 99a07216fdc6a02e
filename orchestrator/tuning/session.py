"""One launch of a tuner: search, beside others that are at work on the study, and as their lead confirm and tell.

runs/optuna.journal            the study, where no other storage is given
runs/tuning/<study>/           its files (studies.py)
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engine import engine
from orchestrator.engine.event_text import failure_text
from orchestrator.engine.events import Event
from orchestrator.engine.options import Options
from orchestrator.files import write_json, write_text
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.signals import interrupts_deferred
from orchestrator.spec.model import SweepSpec, Value
from orchestrator.store.at_work import TUNERS
from orchestrator.store.process import stopping_when_asked
from orchestrator.store.store import Store
from orchestrator.tracking.delivered import runs_id
from orchestrator.tracking.study import Ending, StudyTracker
from orchestrator.tuning import plots, space, study, summary
from orchestrator.tuning.confirm import Verdict, confirm_plan, judge, other_folds
from orchestrator.tuning.export import winner_spec
from orchestrator.tuning.studies import CONFIRMATION, SPEC, WINNER, folder_of, keep
from orchestrator.tuning.study import Study
from orchestrator.tuning.trials import tune_of
from orchestrator.tuning.tuner import Tuner
from orchestrator.tuning.tuners import LOOK_SECONDS, Tuners, alone


@dataclass(frozen=True)
class TuningOptions:
    """How a study is run: no part of its identity."""

    runs: Path
    options: Options
    storage: str | None = None
    tracking_uri: str | None = None
    timeout: float | None = None
    """Seconds, after which no trial is begun."""


@dataclass(frozen=True)
class TuneOutcome:
    """How a launch of the tuner ended."""

    study: str
    """The study's name: the spec's, and a hash of what makes trials comparable."""
    folder: Path
    """With `spec.yaml`, `plots/`, once confirmed `confirmation.json`, and where there is a winner `winner.yaml`."""
    trials: Mapping[str, int]
    """How many are `complete`, `pruned`, `running`, and `failed`, over all launches."""
    best: Mapping[str, Value]
    """Dotted path to value: the winner's; the published one's where nothing found is better; without a confirmation the
    best trial's. Empty while no trial is complete."""
    verdict: Verdict | None
    """What the confirmation says; None where there was none, a stage of it failed, or another tuner ends the study."""
    complete: bool
    """Whether as many trials have ended as were asked for."""
    failed: bool
    """Whether the search was given up, or a stage of the confirmation failed."""

    @property
    def winner(self) -> Path | None:
        """The winner as a spec to launch; None where there is none."""
        return self.folder / WINNER if self.verdict and self.verdict.winner else None


class Session:
    """One launch of a tuner."""

    def __init__(
        self,
        spec: SweepSpec,
        tuning: TuningOptions,
        say: Callable[[str], None],
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """`say` is given what happens as lines for people, `on_event` what the engine tells of stages."""
        self.spec, self.tune, self.tuning = spec, tune_of(spec), tuning
        self.say, self.on_event = say, on_event
        self.device = tuning.options.device
        self.store = Store(tuning.runs)
        self.tracker: StudyTracker | None = None
        """MLflow's, while this tuner leads."""
        self._told: set[int] = set()
        self._next_look = 0.0

    def run(self) -> TuneOutcome:
        """Search and, as the lead, confirm."""
        spec, tuning = self.spec, self.tuning
        name = study.study_name(spec, self.device)
        folder = folder_of(tuning.runs, name)
        folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            keep(folder, spec, tuning.storage, self.device)
            self.study = Study(spec, study.open_storage(tuning.runs, tuning.storage), self.device)
            if tuning.storage is not None:
                self.study.tune_from(runs_id(tuning.runs))
        with (
            Tuners(self.study, folder, tuning.options.lease_timeout) as self.tuners,
            stopping_when_asked(folder / TUNERS, self.tuners.id),
        ):
            self._look()
            ending = Ending("KILLED")
            try:
                outcome = self._work(folder)
                ending = self._ending(outcome)
            finally:
                # A second Ctrl-C must not leave runs that look as if they went on.
                with interrupts_deferred():
                    if self.tracker is not None:
                        views = [summary.view(self.study, one.number) for one in self.study.trials() if one.params]
                        self.tracker.finish(views, ending)
            if self.tracker is not None and outcome.complete:
                self.tuners.note_ended(self.study.ended())
        return outcome

    def _look(self) -> None:
        """Lead, where nobody does; the lead tells MLflow what is new of everybody's trials."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        if not self.tuners.leads(space.most_trials(self.tune)):
            self.tracker = None
            return
        spec, tuning = self.spec, self.tuning
        if self.tracker is None:
            warn = _warner(self.say)
            self.tracker = StudyTracker(spec.name, self.study.name, spec.text, tuning.runs, tuning.tracking_uri, warn)
            self.tracker.start()
        for trial in self.study.trials():
            if trial.params and trial.number not in self._told:
                self.tracker.deliver(summary.view(self.study, trial.number))
                if trial.state.is_finished():
                    self._told.add(trial.number)

    def _work(self, folder: Path) -> TuneOutcome:
        tuner = self._search()
        self.say(f"{self.study.name}: {summary.state(self.study)}\nsearch: {summary.cost(self.study, self.device)}")
        complete = not tuner.gave_up and self.study.ended() >= tuner.wanted
        if tuner.gave_up:
            self.say(f"no further trial is begun: {tuner.gave_up}")
        elif not complete:
            self.say(f"the time is up after {self.study.ended()} of {tuner.wanted} trials; the same command goes on")
        self._next_look = 0.0
        self._look()
        ends = self.tracker is not None
        confirms = ends and complete and self.tune.confirm.top > 0
        verdict = self._confirm(folder) if confirms else None
        if ends:
            plots.draw(self.study, folder / "plots")
            self.say(f"plots and files: {folder}")
            if not plots.interactive():
                self.say("for plots as HTML, too: pip install 'dfcil-sweep[plots]', and the same command again")
        elif complete:
            self.say(f"{self.tuners.lead} ends the study: confirmation, plots and files in {folder}")
        return TuneOutcome(
            study=self.study.name,
            folder=folder,
            trials=summary.counts(self.study),
            best=self._best(verdict),
            verdict=verdict,
            complete=complete,
            failed=tuner.gave_up is not None or confirms and verdict is None,
        )

    # ---- the search --------------------------------------------------------------------------------------------------

    def _search(self) -> Tuner:
        deadline = None if self.tuning.timeout is None else time.monotonic() + self.tuning.timeout
        at_once = self.tuning.options.workers
        tuner = Tuner(self.spec, self.study, self.tuners, self.device, at_once, self.say, deadline)
        beside = f", beside {self.tuners.lead}" if self.tracker is None else ""
        self.say(
            f"{self.study.name}: {self.study.ended()} of {tuner.wanted} trials have ended; "
            f"{at_once} at a time on {self.device}{beside}"
        )
        nothing = Plan(self.spec, (), {}, 0, 0, self.device)

        def on_event(event: Event) -> None:
            tuner.on_event(event)
            self.on_event(event)

        def source() -> dict[str, Stage]:
            self._look()
            return tuner.source()

        waiting = False
        try:
            while True:
                engine.run(nothing, self.store, self.tuning.options, on_event, source=source)
                if not tuner.waits:
                    return tuner
                if not waiting and (others := self.study.owners()):
                    waiting = True
                    numbers = ", ".join(map(str, others))
                    self.say(f"waits for the trials of other tuners, to take them over if need be: {numbers}")
                time.sleep(LOOK_SECONDS)
                tuner.look_again()
        finally:
            self.tuners.hand_back()

    # ---- the choice --------------------------------------------------------------------------------------------------

    def _confirm(self, folder: Path) -> Verdict | None:
        """The verdict; None where a stage of the confirmation failed."""
        candidates = {trial.number: trial.params for trial in self.study.candidates(self.tune.confirm.top)}
        for name in (CONFIRMATION, WINNER):
            (folder / name).unlink(missing_ok=True)  # of a shorter search
        plan = confirm_plan(self.spec, candidates, self.device)
        if other_folds(self.spec) is None:
            self.say(
                "warning: the confirmation has the trials' own held-out images: some class has too few training images "
                f"for another part of {self.tune.validation} (`tune.validation`) that shares none with theirs"
            )
        numbers = ", ".join(map(str, candidates)) or "none"
        self.say(f"confirmation: trials {numbers} and the published setting, {len(plan.stages)} stages on fresh seeds")
        outcome = engine.run(plan, self.store, self.tuning.options, self.on_event)
        for failure in outcome.failed.values():
            self.say(f"failed: {failure_text(failure)}")
        if outcome.failed:
            return None
        verdict = judge(self.spec, plan, candidates, self.store.records(plan.stages.values()))
        write_json(folder / CONFIRMATION, verdict.to_json(), indent=1, end="\n")
        self.say(verdict.text())
        if verdict.winner:
            told = f"From {self.study.name}, trial {verdict.winner.trial}.\n{verdict.text()}"
            write_text(folder / WINNER, winner_spec(self.spec, verdict.winner.settings, told))
            self.say(f"the winner as a spec: {folder / WINNER}")
        return verdict

    def _best(self, verdict: Verdict | None) -> Mapping[str, Value]:
        """The confirmed setting, or the published one where nothing is better; unconfirmed, the best trial's."""
        if verdict is None:
            ranked = self.study.ranked()
            return ranked[0].params if ranked else {}
        return verdict.winner.settings if verdict.winner else self.study.published

    def _ending(self, outcome: TuneOutcome) -> Ending:
        """What the study's own run in MLflow is given at the end."""
        folder, tags = outcome.folder, {"trials": summary.state(self.study)}
        tags["stages"] = str(summary.cost(self.study, self.device))
        files = [folder / SPEC, folder / "plots"]
        if outcome.verdict:
            tags["confirmed_on"] = outcome.verdict.where
            files += [folder / name for name in (CONFIRMATION, WINNER) if (folder / name).exists()]
        return Ending("FAILED" if outcome.failed else "FINISHED", self._parameters(outcome), tags, files)

    def _parameters(self, outcome: TuneOutcome) -> dict[str, Any]:
        """The study's parameters in MLflow: the best settings, whose they are, and what was measured of them."""
        told: dict[str, Any] = {f"best.{path}": value for path, value in outcome.best.items()}
        if outcome.verdict is None:
            ranked = self.study.ranked()
            return {**told, "best.trial": str(ranked[0].number) if ranked else "none", "best.confirmed": "no"}
        winner = outcome.verdict.winner
        told |= {"best.trial": str(winner.trial) if winner else "published", "best.confirmed": "yes"}
        for item in winner.differences if winner else ():
            told[f"best.{item.objective}.difference"] = f"{item.difference:.2f} ({item.low:.2f} to {item.high:.2f})"
        return told


def _warner(say: Callable[[str], None]) -> Callable[[str], None]:
    def warn(text: str) -> None:
        say(f"warning: {text}")

    return warn
