"""Which trial is stopped at a task's boundary.

Optuna's own median pruner compares a trial's best value over all steps. In class-incremental learning task 1 is always
the best, near 100% whatever the setting: such a pruner would never stop anything. This one compares equal tasks only.
"""

import math

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

FEWEST = 4  # other trials at a step, below which nothing is said
WORST = 1 / 2  # a trial goes on while at most this share of the others is better
EARLIEST = 3
"""The first task after which a trial may be stopped."""


class TaskBoundaryPruner(BasePruner):
    """Compares a trial after a task with the other trials after that task, each by its mean over splits and seeds.

    Not before task 3 and half of the tasks: task 1 says nothing, since no tuned setting has acted before it ends, and
    the first few little. The published setting, which is asked for and not chosen, is never stopped: it is what the
    others are measured by.
    """

    def __init__(self, tasks: int, maximize: bool) -> None:
        """`tasks`: of the longest split; `maximize`: whether a larger value is the better one."""
        self._earliest = max(EARLIEST, math.ceil(tasks / 2))
        self._sign = 1 if maximize else -1

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial is to be stopped after the step, a task, that it has reported last."""
        step = trial.last_step
        if step is None or is_published(trial) or step < self._earliest:
            return False
        own = trial.intermediate_values[step]
        others = [
            other.intermediate_values[step]
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number and other.state != TrialState.FAIL and step in other.intermediate_values
        ]
        better = sum(self._sign * (value - own) > 0 for value in others)
        return len(others) >= FEWEST and better > WORST * len(others)


def is_published(trial: FrozenTrial) -> bool:
    """Whether the trial's setting was asked for, as only the published one is."""
    return "fixed_params" in trial.system_attrs
