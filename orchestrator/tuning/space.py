"""A spec's space as Optuna has it: what a trial is asked for, and who chooses it."""

import hashlib
from typing import Any

import numpy as np
from optuna import samplers
from optuna.samplers import BaseSampler
from optuna.trial import Trial

from orchestrator.spec.model import Choices, MethodEntry, Range, Tune, Value, settings_of

# These choose by the trials' count alone, so that another seed would break their sequence.
_SEQUENCES = ("grid", "qmc")


def suggest(trial: Trial, tune: Tune) -> dict[str, Value]:
    """The trial's settings by dotted path; those that it has in the storage already stay."""
    return {path: _suggest(trial, path, dimension) for path, dimension in tune.space.items()}


def published(tune: Tune, entry: MethodEntry) -> dict[str, Value]:
    """The settings of trial 0: what the entry has without tuning."""
    settings: dict[str, Any] = settings_of(entry)
    return {path: settings[path] for path in tune.space}


def grid(tune: Tune) -> dict[str, list[Value]]:
    """Every value of each setting, where all of them are finitely many."""
    return {path: _values(dimension) for path, dimension in tune.space.items()}


def most_trials(tune: Tune) -> int:
    """`tune.trials`, or fewer where the grid has fewer points: all of them, and the published setting."""
    if tune.sampler != "grid":
        return tune.trials
    points = 1
    for values in grid(tune).values():
        points *= len(values)
    return min(tune.trials, points + 1)


def sampler(tune: Tune, number: int) -> BaseSampler:
    """The sampler that chooses trial `number`.

    A fresh one for every trial: its random numbers depend on the trial's number alone. A sampler seeded once would
    begin from the start after a restart, and choose its first random trials again.
    """
    seed = tune.seed if tune.sampler in _SEQUENCES else _seed(tune.seed, number)
    match tune.sampler:
        case "tpe":
            return samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        case "gp":
            return samplers.GPSampler(seed=seed)
        case "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case "random":
            return samplers.RandomSampler(seed=seed)
        case "grid":
            return _Grid(grid(tune), seed=seed)
        case "qmc":
            return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
    raise ValueError(f"no sampler {tune.sampler}")


class _Grid(samplers.GridSampler):
    """Optuna's, for asking and telling: it ends a loop of Optuna's own when the grid is done, and there is none."""

    def after_trial(self, *_: Any) -> None:
        """Nothing: `most_trials` ends the search."""


def _suggest(trial: Trial, path: str, dimension: Range | Choices) -> Value:
    if isinstance(dimension, Choices):
        chosen: Value = trial.suggest_categorical(path, dimension.values)  # type: ignore[assignment]  # none is None
        return chosen
    low, high, log, step = dimension.low, dimension.high, dimension.log, dimension.step
    if dimension.whole:
        return trial.suggest_int(path, int(low), int(high), step=int(step or 1), log=log)
    return trial.suggest_float(path, low, high, step=step, log=log)


def _values(dimension: Range | Choices) -> list[Value]:
    if isinstance(dimension, Choices):
        return list(dimension.values)
    assert dimension.step is not None, "what is not a choice has a step in a grid: spec/tune.py sees to it"
    count = round((dimension.high - dimension.low) / dimension.step) + 1
    values = np.linspace(dimension.low, dimension.high, count)
    # Rounded as a person would write them: 0.30000000000000004 is no setting.
    return [round(value) if dimension.whole else float(f"{value:.12g}") for value in values.tolist()]


def _seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "big")
