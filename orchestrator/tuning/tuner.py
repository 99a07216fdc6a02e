"""Several trials at a time on one engine: who is next, what it needs, and what its values say."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import Trial

from orchestrator.engine.event_text import failure_text, warning_text
from orchestrator.engine.events import Event, StageFailed, StageFinished
from orchestrator.plan.stage import Stage
from orchestrator.spec.model import SweepSpec, Value
from orchestrator.tuning import space
from orchestrator.tuning.study import COMPLETE, FAILED, PRUNED, Study
from orchestrator.tuning.trials import TrialProgress, tune_of
from orchestrator.tuning.tuners import LOOK_SECONDS, TrialLost, Tuners

MOST_FAILURES = 10  # trials that fail in one launch, after which the fault is not the settings'


@dataclass
class _Active:
    """A trial under way."""

    trial: Trial
    settings: Mapping[str, Value]
    progress: TrialProgress


class Tuner:
    """The `source` and `on_event` of an engine's launch, which ends when there is no trial for this tuner.

    While `waits`, there may be one later: another launch then begins with `look_again`.
    """

    def __init__(
        self,
        spec: SweepSpec,
        study: Study,
        tuners: Tuners,
        device: str,
        at_once: int,
        say: Callable[[str], None],
        deadline: float | None = None,
    ) -> None:
        """`at_once`: trials at a time. After `deadline` (of the monotonic clock, seconds) no trial is begun or taken
        over; those under way come to their end."""
        self.spec, self.study, self.tuners, self.device = spec, study, tuners, device
        self.wanted = space.most_trials(tune_of(spec))
        self.at_once, self.say, self.deadline = at_once, say, deadline
        self.failed: list[int] = []
        """Trials that failed in this launch; others take their place."""
        self.gave_up: str | None = None
        """Why no further trial is begun."""
        self._active: list[_Active] = []
        self._given: set[str] = set()
        self._records: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, StageFailed] = {}
        self._next_look = 0.0

    @property
    def waits(self) -> bool:
        """Whether there may be a trial later: one that is wanted, or another tuner's, which may die."""
        return not self._stopped and (self.study.ended() < self.wanted or bool(self.study.owners()))

    @property
    def _stopped(self) -> bool:
        return self.gave_up is not None or self.deadline is not None and time.monotonic() >= self.deadline

    def look_again(self) -> None:
        """Before another launch of the engine, which knows no stage of the last one."""
        self._given.clear()
        self._failures.clear()
        self._next_look = 0.0

    def source(self) -> dict[str, Stage]:
        """The stages that the trials under way need and that were not given before."""
        self._fill()
        while self._advance():
            self._fill()
        needed = {key: stage for active in self._active for key, stage in active.progress.wanted().items()}
        new = {key: stage for key, stage in needed.items() if key not in self._given}
        self._given |= new.keys()
        return new

    def on_event(self, event: Event) -> None:
        """Take note of what the engine tells."""
        match event:
            case StageFinished(stage, record):
                # Of thousands of stages, only what an objective is computed from.
                self._records[stage.key] = {"evaluation": record.get("evaluation")}
            case StageFailed(stage):
                self._failures[stage.key] = event
                self.say(f"failed: {failure_text(event)}")
            case _ if warning := warning_text(event):
                self.say(f"warning: {warning}")

    # ---- trials ------------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Begin as many trials as there are places for, and wanted; those that nobody has any more go first."""
        while len(self._active) < self.at_once and not self._stopped and time.monotonic() >= self._next_look:
            found = self.tuners.next_trial(self.wanted)
            if found is None:
                self._next_look = time.monotonic() + LOOK_SECONDS
                return
            self._begin(*found)

    def _begin(self, trial: Trial, settings: Mapping[str, Value], verb: str) -> None:
        self._active.append(_Active(trial, settings, TrialProgress(self.spec, settings, self.device)))
        shown = ", ".join(f"{path} {shown_value(value)}" for path, value in settings.items())
        whose = "the published setting: " if settings == self.study.published else ""
        self.say(f"trial {trial.number} {verb}: {whose}{shown}")

    def _advance(self) -> bool:
        """Take every trial as far as the records go; whether one of them ended."""
        ended = [active for active in self._active if self._is_over(active)]
        self._active = [active for active in self._active if active not in ended]
        if ended:
            self._next_look = 0.0
        return bool(ended)

    def _is_over(self, active: _Active) -> bool:
        """Take a trial as far as the records go; whether it has ended, or is another tuner's."""
        try:
            return self._go_on(active) or self._fails(active)
        except TrialLost:
            self.say(
                f"trial {active.trial.number} was taken over by another tuner: this one was not heard of for a while"
            )
            return True

    def _go_on(self, active: _Active) -> bool:
        """Whether the trial has ended."""
        progress, number = active.progress, active.trial.number
        while progress.reached(self._records):
            step, value = progress.step, progress.value(self._records)
            values = progress.values(self._records) if progress.last else []
            with self.tuners.holding(number):
                stop = self.study.report(active.trial, value, step)
                if progress.last:
                    self.study.tell(active.trial, COMPLETE, values)
                elif stop:
                    self.study.tell(active.trial, PRUNED)
            self.say(f"trial {number}: task {step}: {progress.objective[0]} {value:.1f}%")
            if progress.last:
                told = zip(progress.objective, values, strict=True)
                shown = ", ".join(f"{name} {value:.2f}%" for name, value in told)
                self.say(f"trial {number} is complete: {shown}")
            elif stop:
                self.say(f"trial {number} is pruned after task {step}")
            if progress.last or stop:
                return True
            progress.advance()
        return False

    def _fails(self, active: _Active) -> bool:
        failure = next((self._failures[key] for key in active.progress.wanted() if key in self._failures), None)
        if failure is None:
            return False
        number = active.trial.number
        with self.tuners.holding(number):
            self.study.tell(active.trial, FAILED, error=f"{failure.stage}: {failure.error}")
        self.failed.append(number)
        self.say(f"trial {number} has failed; another one takes its place")
        if active.settings == self.study.published:
            self.gave_up = f"the published setting cannot be trained: {failure.error} (log: {failure.log})"
        elif len(self.failed) >= MOST_FAILURES:
            self.gave_up = f"{MOST_FAILURES} trials have failed, the last with: {failure.error} (log: {failure.log})"
        return True


def shown_value(value: Value) -> str:
    """A setting's value for people: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
