"""The statistics of repeats: deviations, t intervals, paired tests, Holm's correction."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Run = tuple[int, int | None]
"""Seed and fold: what pairs the jobs of two rows."""
LEVEL = 0.05
"""Significance level of every test, and 1 minus the confidence of every interval."""


@dataclass(frozen=True)
class Paired:
    """Paired differences. `low` and `high` are the ends of the 95% t interval of the mean; None for fewer than two."""

    n: int
    mean: float
    low: float | None
    high: float | None
    p: float | None
    """Two-sided p of the paired t test; None for fewer than two pairs."""


def half_width(values: Sequence[float], level: float = LEVEL) -> float | None:
    """Half the width of the t interval of the mean, from the sample standard deviation; None for fewer than two."""
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 1 - level / 2)) * statistics.stdev(values) / math.sqrt(len(values))


def paired(differences: Sequence[float]) -> Paired:
    """The paired t test (Student 1908) that the mean difference is zero. Raises ValueError for no differences."""
    if not differences:
        raise ValueError("no pairs, no mean difference")
    n, mean = len(differences), statistics.fmean(differences)
    half = half_width(differences)
    if half is None:
        return Paired(n, mean, None, None, None)
    error = statistics.stdev(differences) / math.sqrt(n)
    if error == 0:
        # Every pair differs by the same: by nothing, or by what no chance explains.
        return Paired(n, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    from scipy.special import stdtr

    return Paired(n, mean, mean - half, mean + half, float(2 * stdtr(n - 1, -abs(mean / error))))


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """The p values adjusted for their number (Holm, Scandinavian Journal of Statistics 6, 1979, step-down)."""
    adjusted, running = {}, 0.0
    for rank, name in enumerate(sorted(p, key=p.__getitem__)):
        running = max(running, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = running
    return adjusted


def against_best(values: Mapping[str, Mapping[Run, float]], best: str) -> dict[str, float | None]:
    """Holm-adjusted p of each other row against the row `best`, over the runs that both have.

    `values`: row to run to value. None for a row with fewer than two runs in common: nothing can be told of it.
    """
    raw: dict[str, float | None] = {}
    for name, of_run in values.items():
        if name == best:
            continue
        common = [run for run in of_run if run in values[best]]
        raw[name] = paired([values[best][run] - of_run[run] for run in common]).p if common else None
    adjusted = holm({name: p for name, p in raw.items() if p is not None})
    return {name: adjusted.get(name) for name in raw}
