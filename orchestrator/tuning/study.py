"""A study in Optuna's storage: asking, telling, and taking up what another tuner left."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from orchestrator.errors import UserError
from orchestrator.plan.fingerprint import fingerprint
from orchestrator.spec.model import OBJECTIVES, SweepSpec, Value
from orchestrator.tracking.uri import without_password
from orchestrator.tuning import space
from orchestrator.tuning.journal import open_journal
from orchestrator.tuning.pruner import TaskBoundaryPruner, is_published
from orchestrator.tuning.trials import TrialProgress, entry_of, tune_of

JOURNAL = "optuna.journal"
COMPLETE, PRUNED, FAILED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING
ENDED = (COMPLETE, PRUNED)
"""The states that count for the number of trials asked for."""

_STEPS = "task by task"
"""What the values that trials report on their way are of: those of a study must be of one kind."""

GRID_POINT = "grid_id"
"""By which Optuna's grid knows the trials that it has chosen."""
_RUNS = "runs"
"""The attribute of a study that has the id of the runs folder whose tuners are at work on it."""
_OWNER = "tuner"
"""The attribute of a trial under way that has the id of its tuner."""

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_storage(runs: Path, url: str | None) -> BaseStorage:
    """The storage at `url`, by default the journal file in the runs folder.

    Raises UserError for a URL that is none, or a storage that does not answer.
    """
    if url is None:
        return open_journal(runs / JOURNAL)
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    shown = without_password(url)
    try:
        # What a server drops while a stage trains for hours is opened anew.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except ArgumentError:
        example = "postgresql+psycopg://user@host/name or sqlite:////folder/optuna.db"
        raise UserError(f"--storage: '{shown}' is no address of a database. Write it as {example}") from None
    except (SQLAlchemyError, ImportError) as error:
        reason = without_password(str(getattr(error, "orig", None) or error)).strip().split("\n")[0]
        raise UserError(f"--storage: {shown} cannot be used: {reason}") from error


def study_name(spec: SweepSpec, device: str) -> str:
    """The spec's name, and a hash of what makes trials comparable: the same stages, space and objective.

    Another number of trials, another sampler or pruner goes on with the same study; other epochs begin a new one.
    """
    tune = tune_of(spec)
    dimensions = {path: str(dimension) for path, dimension in tune.space.items()}
    stages = list(published_progress(spec, device).plan.stages)
    identity = {"stages": stages, "space": dimensions, "objective": list(tune.objective), "steps": _STEPS}
    return f"{spec.name}-{fingerprint(identity)[:12]}"


def published_progress(spec: SweepSpec, device: str) -> TrialProgress:
    """Trial 0."""
    return TrialProgress(spec, {}, device)


class Study:
    """The study of a spec. Whoever changes it holds it first, for others may be at work on it (tuners.py)."""

    def __init__(self, spec: SweepSpec, storage: BaseStorage, device: str) -> None:
        """Opens the study, or makes it."""
        self.spec, self.tune = spec, tune_of(spec)
        self.name = study_name(spec, device)
        directions = [StudyDirection[OBJECTIVES[name].upper()] for name in self.tune.objective]
        self.optuna = optuna.create_study(
            storage=storage, study_name=self.name, directions=directions, load_if_exists=True
        )
        if len(directions) == 1:
            self.optuna.pruner = _pruner(spec, device)
        else:
            self.optuna.set_metric_names(list(self.tune.objective))

    @property
    def published(self) -> dict[str, Value]:
        """The settings of trial 0."""
        return space.published(self.tune, entry_of(self.spec))

    def tune_from(self, runs: str) -> None:
        """Note the id of the runs folder. Raises UserError where trials are under way from another one.

        Tuners know of each other by their leases, which lie there: through a database alone they would not.
        """
        before = self.optuna.user_attrs.get(_RUNS, runs)
        if before != runs and self.owners():
            numbers = ", ".join(map(str, self.owners()))
            raise UserError(
                f"{self.name} is tuned from another runs folder, with trials under way: {numbers}. Tuners of one study "
                "share the runs folder: give that one with --runs, or begin a study of your own under another `name:`"
            )
        self.optuna.set_user_attr(_RUNS, runs)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states, or all, by number."""
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def ended(self) -> int:
        """Completed and pruned trials; with a grid those of its points, and the published setting.

        What another sampler has tried before is no point of the grid: each of those is still asked for.
        """
        return self._counted(ENDED)

    def begun(self) -> int:
        """The same, with those under way."""
        return self._counted((*ENDED, RUNNING))

    def _counted(self, states: tuple[TrialState, ...]) -> int:
        trials = self.trials(*states)
        if self.tune.sampler == "grid":
            return sum(is_published(trial) or GRID_POINT in trial.system_attrs for trial in trials)
        return len(trials)

    def ask(self, tuner: str = "") -> tuple[Trial, dict[str, Value]]:
        """A new trial of the tuner with that id, and its settings: the published ones before all others."""
        if not any(is_published(trial) and trial.state != FAILED for trial in self.trials()):
            self.optuna.enqueue_trial(self.published)
        number = len(self.trials(COMPLETE, PRUNED, FAILED, RUNNING))
        self.optuna.sampler = space.sampler(self.tune, number)
        return self._of(self.optuna.ask(), tuner)

    def take_up(self, frozen: FrozenTrial, tuner: str) -> tuple[Trial, dict[str, Value]]:
        """A trial under way, now of the tuner with that id, and its settings.

        One whose tuner was killed while its settings were being chosen has the rest of them chosen now.
        """
        self.optuna.sampler = space.sampler(self.tune, frozen.number)
        # The storage's name of it, which Optuna has no other word for.
        return self._of(Trial(self.optuna, frozen._trial_id), tuner)

    def _of(self, trial: Trial, tuner: str) -> tuple[Trial, dict[str, Value]]:
        trial.set_user_attr(_OWNER, tuner)
        return trial, space.suggest(trial, self.tune)

    def owners(self) -> dict[int, str]:
        """The number of each trial under way to the id of its tuner; empty where it was killed in its first moment."""
        return {trial.number: trial.user_attrs.get(_OWNER, "") for trial in self.trials(RUNNING)}

    def reported(self, number: int) -> dict[int, float]:
        """The values that a trial has reported, by step."""
        return self.trials()[number].intermediate_values

    def report(self, trial: Trial, value: float, step: int) -> bool:
        """Note a value, if it is new; whether the trial is to be stopped there."""
        if not self.tune.prunes:
            # Two objectives have no values in between as Optuna sees it: how far the trial is goes into its attributes.
            self._note(trial, value, step)
            return False
        reported = self.reported(trial.number)
        if step not in reported:
            trial.report(value, step)
        elif step < max(reported):
            return False  # it was judged there by the tuner that reported what follows
        return trial.should_prune()

    def _note(self, trial: Trial, value: float, step: int) -> None:
        if len(self.tune.objective) == 1 and step not in self.reported(trial.number):
            trial.report(value, step)
        trial.set_user_attr("step", step)

    def tell(self, trial: Trial, state: TrialState, values: Sequence[float] | None = None, error: str = "") -> None:
        """End a trial."""
        if error:
            trial.set_user_attr("error", error)
        self.optuna.tell(trial, values, state)

    def ranked(self) -> list[FrozenTrial]:
        """The completed trials, the best first; with two objectives the Pareto front, by the first of them."""
        maximize = self.optuna.directions[0] == StudyDirection.MAXIMIZE
        several = len(self.tune.objective) > 1
        completed = (self.optuna.best_trials if self.trials(COMPLETE) else []) if several else self.trials(COMPLETE)
        return sorted(completed, key=lambda trial: (-trial.values[0] if maximize else trial.values[0], trial.number))

    def candidates(self, most: int) -> list[FrozenTrial]:
        """The best `most` settings that are not the published one, each once."""
        seen = [self.published]
        found: list[FrozenTrial] = []
        for trial in self.ranked():
            if trial.params not in seen and len(found) < most:
                seen.append(trial.params)
                found.append(trial)
        return found


def value_of(index: int) -> Callable[[FrozenTrial], float]:
    """The value of a completed trial's objective at `index`, as Optuna asks for it."""

    def value(trial: FrozenTrial) -> float:
        return float(trial.values[index])

    return value


def last_step(trial: FrozenTrial) -> int | None:
    """How far a trial came."""
    return trial.user_attrs.get("step", trial.last_step)


def is_open(storage: BaseStorage, name: str) -> bool:
    """Whether the storage has a study of that name."""
    return name in optuna.get_all_study_names(storage)


def _pruner(spec: SweepSpec, device: str) -> optuna.pruners.BasePruner:
    tune = tune_of(spec)
    if not tune.prunes:
        return optuna.pruners.NopPruner()
    return TaskBoundaryPruner(published_progress(spec, device).steps[-1], OBJECTIVES[tune.objective[0]] == "maximize")
