"""The cells of a table: mean and spread over seeds, which of them is best, and what was published beside them."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from dfcil_core.measures import MEASURES
from orchestrator.spec.model import split_title
from reports.published import Published
from reports.statistics import LEVEL, against_best, half_width

GROUPS = {"bound": "Bounds", "data-free": "Data-free", "memory": "With memory", "": "Group not known"}
DASH = "—"
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

    @property
    def complete(self) -> bool:
        return self.n == self.asked

    def __str__(self) -> str:
        count = f"({self.n})" if self.complete else f"({self.n} of {self.asked})*"
        if self.mean is None:
            return f"{DASH} {count}"
        spread = DASH if self.std is None else f"{self.std:.{self.digits}f}"
        return f"{self.mean:.{self.digits}f} ± {spread} {count}"


def cells(frame: pd.DataFrame, metric: str = "final", ddof: int = 1, ci: bool = False) -> dict[tuple[str, str], Cell]:
    """(label, split) to its cell. The standard deviation is the sample's (`ddof` 1) or the population's (0).

    `ci`: half the width of the 95% t interval of the mean in its place.
    """
    table = {}
    for place, of_seed in _values(frame, metric).items():
        values = [value for value in of_seed if value is not None]
        if ci:
            spread = half_width(values)
        elif len(values) <= ddof:
            spread = None
        else:
            spread = statistics.stdev(values) if ddof else statistics.pstdev(values)
        mean = statistics.fmean(values) if values else None
        table[place] = Cell(mean, spread, len(values), len(of_seed), MEASURES[metric].digits)
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

    The best is the best mean of a complete cell. The others are tested against it, paired over the seeds that both
    have, and corrected for their number within the group and the column (Holm).
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
        values = _by_seed(jobs, metric)
        values = {label: values[label] for label in means}
        found[best, split] = Standing(True)
        found |= {(label, split): Standing(False, p) for label, p in against_best(values, best).items()}
    return found


@dataclass(frozen=True)
class Layout:
    """What a table is made of, before it is written in some format."""

    metric: str
    ddof: int
    ci: bool
    columns: Mapping[str, str]
    """Split to its heading."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Heading of a group, and the labels in it."""
    cells: Mapping[tuple[str, str], Cell]
    standings: Mapping[tuple[str, str], Standing]
    """Empty where the best are not asked for."""
    published: Mapping[tuple[str, str], Published] | None
    """None where they are not asked for."""
    caption: str
    notes: tuple[str, ...]

    def difference(self, place: tuple[str, str]) -> float | None:
        """Measured minus published; None where either is missing."""
        published = (self.published or {}).get(place)
        mean = self.cells[place].mean if place in self.cells else None
        return None if published is None or mean is None else mean - published.mean


def layout(
    frame: pd.DataFrame,
    metric: str = "final",
    ddof: int = 1,
    ci: bool = False,
    best: bool = False,
    published: Mapping[tuple[str, str], Published] | None = None,
    notes: tuple[str, ...] = (),
) -> Layout:
    """Arrange a frame as a table; see Layout. A `published` that is empty gives no columns of its own."""
    table = cells(frame, metric, ddof, ci)
    standing = standings(frame, metric, table) if best else {}
    marks = {entry.mark for entry in standing.values()}
    return Layout(
        metric,
        ddof,
        ci,
        _columns(frame),
        _rows(frame),
        table,
        standing,
        published or None,
        caption(table, metric, ddof, ci) + _legend(standing, marks, bool(published)),
        tuple(notes),
    )


def caption(table: Mapping[tuple[str, str], Cell], metric: str, ddof: int, ci: bool = False) -> str:
    """What the cells are, what a star means where there is one, and the measure's formula."""
    told = MEASURES[metric]
    deviation = "sample standard deviation (n - 1)" if ddof == 1 else "population standard deviation (n)"
    spread = "half the width of its 95% t interval" if ci else deviation
    text = f"{told.title} {told.unit}: mean ± {spread} over seeds (n)"
    if not all(cell.complete for cell in table.values()):
        text += "; * incomplete: some jobs of the cell are not finished"
        text += f", {told.lacking}" if told.lacking else ""
    return f"{text}; {told.title} = {told.formula}; a(t,j): accuracy on task j after task t of T"


def _legend(standing: Mapping[tuple[str, str], Standing], marks: set[str], published: bool) -> str:
    text = ""
    if standing:
        text += "; bold: the best of its group, among complete cells"
    if NOT_WORSE in marks:
        text += (
            f"; {NOT_WORSE} not distinguishable from the best (paired t test over the seeds, "
            f"Holm-corrected, p at least {LEVEL})"
        )
    if UNTESTED in marks:
        text += f"; {UNTESTED} fewer than two seeds shared with the best: not tested"
    if published:
        text += "; published: not measured here, mean ± population standard deviation; difference: measured − published"
    return text


def _rows(frame: pd.DataFrame) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Group heading to the labels in it, both in the order in which they are shown."""
    labels = frame.drop_duplicates("label")
    return tuple(
        (title, tuple(labels.loc[labels["group"] == group, "label"]))
        for group, title in GROUPS.items()
        if (labels["group"] == group).any()
    )


def _columns(frame: pd.DataFrame) -> dict[str, str]:
    """Split to column heading."""
    splits = frame.drop_duplicates("split")
    return {split: split_title(split, tasks) for split, tasks in zip(splits["split"], splits["tasks"], strict=True)}


def _by_seed(jobs: pd.DataFrame, metric: str) -> dict[str, dict[int, float]]:
    """Label to seed to value, of the jobs that have one."""
    found: dict[str, dict[int, float]] = {}
    for label, seed, value in zip(jobs["label"], jobs["seed"], jobs[metric].astype(float), strict=True):
        if not math.isnan(value):
            found.setdefault(label, {})[seed] = value
    return found
