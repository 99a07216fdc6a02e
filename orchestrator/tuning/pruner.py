"""Which trial is stopped at a task's boundary.

Optuna's own median pruner compares a trial's best value over all steps. In class-incremental learning task 1 is always
the best, near 100% whatever the setting: such a pruner would never stop anything. This one compares equal tasks only.
"""

from collections.abc import Mapping, Sequence

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from orchestrator.tuning.trials import place, step_of

FEWEST = 4  # other trials at a step, below which nothing is said
WORST = 1 / 2  # a trial goes on while at most this share of the others is better
UNPROMISING = 1 / 3  # the same after the first seed: the further seeds are for the best third


class TaskBoundaryPruner(BasePruner):
    """Compares a trial after a task with the other trials after that task of the same split and seed.

    Task 1 says nothing: no tuned setting has acted before it ends, or all trials are near 100%. After its first seed a
    trial must be among the best third to be worth the further seeds. The published setting, which is asked for and not
    chosen, is never stopped: it is what the others are measured by.
    """

    def __init__(self, tasks: Sequence[int], first_seed: int, maximize: bool) -> None:
        """`tasks`: of each cell (a split and a seed), in the order in which a trial does them; the first `first_seed`
        of the cells are of the first seed."""
        self._width = max(tasks)
        self._first_ends = [step_of(cell, tasks[cell], self._width) for cell in range(first_seed)]
        self._sign = 1 if maximize else -1

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to be stopped after the step that it has reported last."""
        step = trial.last_step
        if step is None or is_published(trial) or place(step, self._width)[1] == 1:
            return False
        others = [
            other.intermediate_values
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and other.state != TrialState.FAIL
        ]
        mine = trial.intermediate_values
        if step == self._first_ends[-1] and self._behind(mine, others, self._first_ends, UNPROMISING):
            return True
        return self._behind(mine, others, [step], WORST)

    def _behind(
        self, mine: Mapping[int, float], others: Sequence[Mapping[int, float]], steps: Sequence[int], share: float
    ) -> bool:
        """Whether more than `share` of those that have done these steps did better in them."""
        sums = [sum(values[step] for step in steps) for values in others if all(step in values for step in steps)]
        own = sum(mine[step] for step in steps)
        better = sum(self._sign * (value - own) > 0 for value in sums)
        return len(sums) >= FEWEST and better > share * len(sums)


def is_published(trial: FrozenTrial) -> bool:
    """Whether the trial's setting was asked for, as only the published one is."""
    return "fixed_params" in trial.system_attrs
