"""The cells of a table: mean and spread over seeds, and how each stands among those of its group."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from dfcil_core.measures import MEASURES
from reports.statistics import LEVEL, Run, against_best, half_width

DASH = "—"
NONE = "n/a"
NOT_WORSE, UNTESTED = "†", "‡"


@dataclass(frozen=True)
class Cell:
    """The jobs of one method on one split. `mean` and `std` over the `n` finished of `asked` jobs, in the metric's
    unit.

    In a table with `--ci` the place of the standard deviation is taken by half the width of the 95% interval.
    """

    mean: float | None
    std: float | None
    n: int
    asked: int
    digits: int = field(default=1, compare=False)
    lacking: bool = False
    """Jobs of it are finished, and none has the measure."""

    @property
    def complete(self) -> bool:
        """Whether no number is missing that may still come."""
        return self.n == self.asked or self.lacking

    @property
    def number(self) -> str:
        """Without the number of jobs."""
        spread = DASH if self.std is None else f"{self.std:.{self.digits}f}"
        return DASH if self.mean is None else f"{self.mean:.{self.digits}f} ± {spread}"

    def __str__(self) -> str:
        if self.lacking:
            return NONE
        count = f"({self.n})" if self.complete else f"({self.n} of {self.asked})*"
        return f"{self.number} {count}"


def cells(frame: pd.DataFrame, metric: str = "final", ddof: int = 1, ci: bool = False) -> dict[tuple[str, str], Cell]:
    """(label, split) to its cell. The standard deviation is the sample's (`ddof` 1) or the population's (0).

    `ci`: half the width of the 95% t interval of the mean in its place.
    """
    table = {}
    places = zip(frame["label"], frame["split"], frame["finished"], strict=True)
    finished = {(label, split) for label, split, done in places if done}
    for place, of_seed in _values(frame, metric).items():
        values = [value for value in of_seed if value is not None]
        if ci:
            spread = half_width(values)
        elif len(values) <= ddof:
            spread = None
        else:
            spread = statistics.stdev(values) if ddof else statistics.pstdev(values)
        mean = statistics.fmean(values) if values else None
        lacking = not values and place in finished
        table[place] = Cell(mean, spread, len(values), len(of_seed), MEASURES[metric].digits, lacking)
    return table


def _values(frame: pd.DataFrame, metric: str) -> dict[tuple[str, str], list[float | None]]:
    """(label, split) to the values of its jobs; None for a job without one."""
    found: dict[tuple[str, str], list[float | None]] = {}
    numbers = frame[metric].astype(float)
    for label, split, value in zip(frame["label"], frame["split"], numbers, strict=True):
        found.setdefault((label, split), []).append(None if math.isnan(value) else value)
    return found


@dataclass(frozen=True)
class Standing:
    """How a cell stands among those of its group and column. `p`: Holm-adjusted, against the best; None: not tested."""

    best: bool
    p: float | None = None

    @property
    def mark(self) -> str:
        """What stands behind the number."""
        if self.best:
            return ""
        return UNTESTED if self.p is None else NOT_WORSE if self.p >= LEVEL else ""


def standings(
    frame: pd.DataFrame, metric: str, table: Mapping[tuple[str, str], Cell]
) -> dict[tuple[str, str], Standing]:
    """(label, split) to its standing among the methods of the same group on the same split; bounds have none.

    The best is the best mean of a complete cell. The others are tested against it, paired over the seeds (and folds)
    that both have, and corrected for their number within the group and the column (Holm).
    """
    found: dict[tuple[str, str], Standing] = {}
    sign = 1 if MEASURES[metric].higher_is_better else -1
    for key, jobs in frame.groupby(["group", "split"], sort=False):
        group, split = map(str, key)
        means = {label: mean for label in jobs["label"].unique() if (mean := table[label, split].mean) is not None}
        complete = [label for label in means if table[label, split].complete]
        if group == "bound" or not complete or len(means) < 2:
            continue
        best = max(complete, key=lambda label: sign * means[label])
        values = _by_run(jobs, metric)
        values = {label: values[label] for label in means}
        found[best, split] = Standing(True)
        found |= {(label, split): Standing(False, p) for label, p in against_best(values, best).items()}
    return found


def _by_run(jobs: pd.DataFrame, metric: str) -> dict[str, dict[Run, float]]:
    """Label to run to value, of the jobs that have one."""
    found: dict[str, dict[Run, float]] = {}
    values = jobs[metric].astype(float)
    for label, seed, fold, value in zip(jobs["label"], jobs["seed"], jobs["fold"], values, strict=True):
        if not math.isnan(value):
            found.setdefault(label, {})[seed, fold] = value
    return found
