"""One launch of the tuner: search, confirm, and tell what came of it.

runs/optuna.journal            the study, where no other storage is given
runs/tuning/<study>/           spec.yaml, plots/, confirmation.json, winner.yaml
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from orchestrator.engine import engine
from orchestrator.engine.engine import Options
from orchestrator.errors import UserError
from orchestrator.files import write_json, write_text
from orchestrator.plan.plan import Plan
from orchestrator.spec.model import SweepSpec
from orchestrator.store.store import Store
from orchestrator.tracking.study import Ending, StudyTracker
from orchestrator.tuning import plots, study, summary
from orchestrator.tuning.confirm import Verdict, confirm_plan, judge
from orchestrator.tuning.export import winner_spec
from orchestrator.tuning.study import Study
from orchestrator.tuning.tuner import Tuner, shown_value


@dataclass(frozen=True)
class Launch:
    """What a launch of the tuner is told beside the spec."""

    runs: Path
    options: Options
    storage: str | None = None
    tracking_uri: str | None = None
    timeout: float | None = None
    """Seconds, after which no trial is begun."""


def folder_of(runs: Path, name: str) -> Path:
    """Where a study's own files lie."""
    return runs / "tuning" / name


class Session:
    """One launch. `run` gives the exit status: 0 done, 1 something failed."""

    def __init__(self, spec: SweepSpec, launch: Launch, say: Callable[[str], None]) -> None:
        self.spec, self.launch, self.say = spec, launch, say
        self.device = launch.options.device
        self.store = Store(launch.runs)

    def run(self) -> int:
        """Search and confirm. Raises UserError where another tuner is at work on the study."""
        name = study.study_name(self.spec, self.device)
        folder = folder_of(self.launch.runs, name)
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock", name):
            write_text(folder / "spec.yaml", self.spec.text)
            storage = study.open_storage(self.launch.runs, self.launch.storage)
            self.study = Study(self.spec, storage, self.device)
            warn = _warner(self.say)
            tracker = StudyTracker(
                self.spec.name, name, self.spec.text, self.launch.runs, self.launch.tracking_uri, warn
            )
            tracker.start()
            ending = Ending("KILLED")
            try:
                ending = self._work(folder, tracker)
            finally:
                views = [summary.view(self.study, trial.number) for trial in self.study.trials() if trial.params]
                tracker.finish(views, ending)
        return 0 if ending.state == "FINISHED" else 1

    def _work(self, folder: Path, tracker: StudyTracker) -> Ending:
        tuner = self._search(tracker)
        cost = summary.cost(self.study, self.device)
        self.say(f"{self.study.name}: {summary.state(self.study)}\nsearch: {cost}")
        tags = {"trials": summary.state(self.study), "stages": str(cost)}
        complete = not tuner.gave_up and self.study.ended() >= tuner.wanted
        if tuner.gave_up:
            self.say(f"no further trial is begun: {tuner.gave_up}")
        elif not complete:
            self.say(f"the time is up after {self.study.ended()} of {tuner.wanted} trials; the same command goes on")
        verdict = self._confirm(folder) if complete and self.spec.tune.confirm.top else None
        files = [folder / "spec.yaml", folder / "plots"]
        plots.draw(self.study, folder / "plots")
        files += [
            folder / name for name in ("confirmation.json", "winner.yaml") if verdict and (folder / name).exists()
        ]
        self.say(f"plots and files: {folder}")
        failed = tuner.gave_up or complete and self.spec.tune.confirm.top and verdict is None
        return Ending("FAILED" if failed else "FINISHED", self._best(verdict), tags, files)

    # ---- the search --------------------------------------------------------------------------------------------------

    def _search(self, tracker: StudyTracker) -> Tuner:
        deadline = None if self.launch.timeout is None else time.monotonic() + self.launch.timeout

        def deliver(number: int) -> None:
            tracker.deliver(summary.view(self.study, number))

        at_once = self.launch.options.workers
        tuner = Tuner(self.spec, self.study, self.device, at_once, self.say, deliver, deadline)
        self.say(
            f"{self.study.name}: {self.study.ended()} of {tuner.wanted} trials have ended; "
            f"{at_once} at a time on {self.device}"
        )
        nothing = Plan(self.spec, (), {}, 0, 0, self.device)
        engine.run(nothing, self.store, self.launch.options, tuner.on_event, source=tuner.source)
        return tuner

    # ---- the choice --------------------------------------------------------------------------------------------------

    def _confirm(self, folder: Path) -> Verdict | None:
        """The verdict; None where a stage of the confirmation failed."""
        candidates = {trial.number: trial.params for trial in self.study.candidates(self.spec.tune.confirm.top)}
        for name in ("confirmation.json", "winner.yaml"):
            (folder / name).unlink(missing_ok=True)  # of a shorter search
        plan = confirm_plan(self.spec, candidates, self.device)
        numbers = ", ".join(map(str, candidates)) or "none"
        self.say(f"confirmation: trials {numbers} and the published setting, {len(plan.stages)} stages on fresh seeds")
        outcome = engine.run(plan, self.store, self.launch.options, lambda event: None)
        for failure in outcome.failed.values():
            self.say(f"failed: {failure.stage}: {failure.error} (log: {failure.log})")
        if outcome.failed:
            return None
        verdict = judge(self.spec, plan, candidates, self.store.records(plan.stages.values()))
        write_json(folder / "confirmation.json", verdict.to_json(), indent=1, end="\n")
        self.say(verdict.text())
        if verdict.winner:
            told = f"From {self.study.name}, trial {verdict.winner.trial}.\n{verdict.text()}"
            write_text(folder / "winner.yaml", winner_spec(self.spec, verdict.winner.settings, told))
            self.say(f"the winner as a spec: dfcil-sweep launch {folder / 'winner.yaml'}")
        return verdict

    def _best(self, verdict: Verdict | None) -> dict[str, str]:
        """The study's parameters in MLflow: the confirmed setting, or the published one where nothing is better."""
        if verdict is None:
            ranked = self.study.ranked()
            chosen, whose = (ranked[0].params, str(ranked[0].number)) if ranked else ({}, "none")
            return {"best.trial": whose, "best.confirmed": "no", **{f"best.{k}": v for k, v in chosen.items()}}
        winner = verdict.winner
        chosen = winner.settings if winner else self.study.published
        told = {f"best.{path}": value for path, value in chosen.items()}
        told |= {"best.trial": str(winner.trial) if winner else "published", "best.confirmed": "yes"}
        for item in winner.differences if winner else ():
            told[f"best.{item.objective}.difference"] = f"{item.difference:.2f} ({item.low:.2f} to {item.high:.2f})"
        return told


def show(spec: SweepSpec, runs: Path, storage: str | None, device: str) -> str:
    """What is known of a spec's study. Raises UserError where there is none. Changes nothing."""
    name = study.study_name(spec, device)
    if storage is None and not (runs / study.JOURNAL).exists():
        raise UserError(f"nothing was tuned in {runs} yet. (--runs or DFCIL_RUNS chooses the runs folder)")
    opened = study.open_storage(runs, storage)
    if not study.is_open(opened, name):
        raise UserError(f"no study {name} in this storage: this spec was not tuned yet, or is another one since")
    found = Study(spec, opened, device)
    lines = [
        f"{name}: {summary.state(found)} (asked for: {spec.tune.trials})",
        f"search: {summary.cost(found, device)}",
    ]
    headings, rows = summary.best(found)
    if rows:
        lines.append(_table(headings, rows))
    for objective, shares in summary.importances(found).items():
        told = ", ".join(f"{path} {100 * share:.0f}%" for path, share in shares.items())
        count = len(found.trials(study.COMPLETE))
        lines.append(f"what {objective} depends on, by the {count} completed trials alone: {told}")
    confirmation = folder_of(runs, name) / "confirmation.json"
    if confirmation.exists():
        lines.append(_told(json.loads(confirmation.read_text())))
    return "\n".join(lines)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [[text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in (headings, *rows)]
    return "\n".join("  " + "  ".join(line).rstrip() for line in lines)


def _told(verdict: dict) -> str:
    if verdict["winner"] is None:
        return "confirmed on fresh seeds: nothing found is better than the published setting"
    winner = next(candidate for candidate in verdict["candidates"] if candidate["trial"] == verdict["winner"])
    settings = ", ".join(f"{path} {shown_value(value)}" for path, value in winner["settings"].items())
    differences = ", ".join(
        f"{item['objective']} {item['difference']:+.2f} points ({item['low']:+.2f} to {item['high']:+.2f})"
        for item in winner["differences"]
    )
    return f"confirmed on fresh seeds: trial {verdict['winner']}: {settings}; {differences}"


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Hold the study. The system lets go of it when this process ends, however that happens."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another tuner is at work on {name}. Look at it with --show") from None
    try:
        yield
    finally:
        lock.release()


def _warner(say: Callable[[str], None]) -> Callable[[str], None]:
    def warn(text: str) -> None:
        say(f"warning: {text}")

    return warn
