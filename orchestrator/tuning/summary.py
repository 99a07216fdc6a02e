"""What a study knows: its state, its costs, its best trials, what mattered."""

from dataclasses import dataclass

import optuna

from orchestrator.tracking.study import TrialView
from orchestrator.tuning.study import COMPLETE, ENDED, FAILED, PRUNED, RUNNING, Study, last_step, value_of
from orchestrator.tuning.trials import TrialProgress
from orchestrator.tuning.tuner import shown_value

_SHOWN = 10  # trials in a table


@dataclass(frozen=True)
class Cost:
    """What a search took, in stages, and what as many separate sweeps would have: nothing shared, nothing pruned."""

    trials: int
    seeds: int
    searched: int
    separate: int

    def __str__(self) -> str:
        share = f" ({100 * self.searched / self.separate:.0f}%)" if self.separate else ""
        seeds = "1 seed" if self.seeds == 1 else f"{self.seeds} seeds"
        return (
            f"{self.searched} stages for {self.trials} trials of {seeds}, "
            f"where separate sweeps take {self.separate}{share}"
        )


def cost(study: Study, device: str) -> Cost:
    """The stages that the completed and pruned trials needed, each once; those of the confirmation are not among them.

    From the trials alone: however often the tuner was stopped, and whatever the store had before.
    """
    used: set[str] = set()
    separate = 0
    trials = study.trials(*ENDED)
    for trial in trials:
        progress = TrialProgress(study.spec, trial.params, device)
        used |= progress.used(last_step(trial))
        separate += progress.plan.unshared
    return Cost(len(trials), len(study.spec.seeds), len(used), separate)


def counts(study: Study) -> dict[str, int]:
    """How many trials are complete, pruned, running, and failed."""
    states = {"complete": COMPLETE, "pruned": PRUNED, "running": RUNNING, "failed": FAILED}
    return {name: len(study.trials(state)) for name, state in states.items()}


def state(study: Study) -> str:
    """`12 complete, 17 pruned, 1 running, 0 failed`."""
    return ", ".join(f"{number} {name}" for name, number in counts(study).items())


def best(study: Study) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows of a table of the best trials; of the Pareto front with two objectives."""
    names = list(study.tune.objective)
    rows = [
        [
            f"{trial.number} (published)" if trial.params == study.published else str(trial.number),
            *(f"{value:.2f}%" for value in trial.values),
            *(shown_value(trial.params[path]) for path in study.tune.space),
        ]
        for trial in study.ranked()[:_SHOWN]
    ]
    return ["trial", *names, *_short(list(study.tune.space))], rows


def _short(paths: list[str]) -> list[str]:
    """Dotted paths without their sections where that says it all: six of them must fit a terminal."""
    last = [path.rpartition(".")[2] for path in paths]
    return [name if last.count(name) == 1 else path for path, name in zip(paths, last, strict=True)]


def importances(study: Study) -> dict[str, dict[str, float]]:
    """Objective to the share of its variation that each setting explains (fANOVA); empty with too few trials.

    Over the completed trials: the pruned ones have no value that these could be compared by.
    """
    completed = study.trials(COMPLETE)
    found = {}
    for index, name in enumerate(study.tune.objective):
        if len(completed) < 2 or len({trial.values[index] for trial in completed}) < 2:
            continue
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        target = value_of(index) if len(study.tune.objective) > 1 else None
        found[name] = optuna.importance.get_param_importances(study.optuna, evaluator=evaluator, target=target)
    return found


def view(study: Study, number: int) -> TrialView:
    """A trial as tracking takes it."""
    trial = study.trials()[number]
    begun, ended = trial.datetime_start, trial.datetime_complete
    return TrialView(
        number=number,
        state=trial.state.name,
        published=trial.params == study.published,
        settings=trial.params,
        objective=study.tune.objective[0],
        steps=dict(trial.intermediate_values),
        values=dict(zip(study.tune.objective, trial.values, strict=True)) if trial.state == COMPLETE else {},
        begun=begun.timestamp() if begun else None,
        ended=ended.timestamp() if ended else None,
        error=trial.user_attrs.get("error", ""),
    )
