"""What a table is made of, before it is written in some format: columns, rows, cells, caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dfcil_core.measures import FINAL, MEASURES, PERCENT
from orchestrator.spec.model import split_title, stops
from reports.published import Published
from reports.statistics import LEVEL
from reports.tables.cells import NONE, NOT_WORSE, UNTESTED, Cell, Standing, cells, standings

GROUPS = {"bound": "Bounds", "data-free": "Data-free", "memory": "With memory", "": "Group not known"}
Place = tuple[str, str, str]
"""Label, split and measure: what a cell is of."""


@dataclass(frozen=True)
class Column:
    """The numbers of one measure on one split."""

    split: str
    metric: str
    heading: str


@dataclass(frozen=True)
class Layout:
    """What a table is made of: methods by splits of one measure, or methods by measures."""

    metrics: tuple[str, ...]
    ddof: int
    ci: bool
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Heading of a group, and the labels in it."""
    cells: Mapping[Place, Cell]
    standings: Mapping[Place, Standing]
    """Empty where the best are not asked for."""
    published: Mapping[tuple[str, str], Published] | None
    """(label, split) to the published final accuracy; None where they are not asked for."""
    caption: str
    notes: tuple[str, ...]

    def cell(self, label: str, column: Column) -> Cell | None:
        """None where no job was asked for."""
        return self.cells.get((label, column.split, column.metric))

    def standing(self, label: str, column: Column) -> Standing | None:
        """None where the best are not asked for, or there is nothing to compare with."""
        return self.standings.get((label, column.split, column.metric))

    def compares(self, column: Column) -> bool:
        """Whether published figures stand beside a column."""
        return self.published is not None and column.metric == FINAL.name

    def figure(self, label: str, column: Column) -> Published | None:
        """What was published of a cell."""
        return (self.published or {}).get((label, column.split)) if self.compares(column) else None

    def difference(self, label: str, column: Column) -> float | None:
        """Measured minus published; None where either is missing."""
        figure, cell = self.figure(label, column), self.cell(label, column)
        return None if figure is None or cell is None or cell.mean is None else cell.mean - figure.mean


def layout(
    frame: pd.DataFrame,
    metric: str | Sequence[str] = FINAL.name,
    ddof: int = 1,
    ci: bool = False,
    best: bool = False,
    published: Mapping[tuple[str, str], Published] | None = None,
    notes: tuple[str, ...] = (),
) -> Layout:
    """Arrange a frame as a table; see Layout. Of several measures every split has a column each.

    A `published` that is empty gives no columns of its own.
    """
    metrics = (metric,) if isinstance(metric, str) else tuple(metric)
    table: dict[Place, Cell] = {}
    standing: dict[Place, Standing] = {}
    for name in metrics:
        of_measure = cells(frame, name, ddof, ci)
        table |= {(*place, name): cell for place, cell in of_measure.items()}
        if best:
            standing |= {(*place, name): found for place, found in standings(frame, name, of_measure).items()}
    splits = _splits(frame)
    return Layout(
        metrics,
        ddof,
        ci,
        tuple(
            Column(split, name, MEASURES[name].short if len(metrics) > 1 else title)
            for split, title in splits.items()
            for name in metrics
        ),
        _rows(frame),
        table,
        standing,
        published or None,
        _caption(table, metrics, splits, ddof, ci) + _legend(standing, bool(published)),
        tuple(notes),
    )


def _caption(
    table: Mapping[Place, Cell], metrics: Sequence[str], splits: Mapping[str, str], ddof: int, ci: bool
) -> str:
    """What the cells are, what a star means where there is one, and the formulas of the measures."""
    deviation = "sample standard deviation (n - 1)" if ddof == 1 else "population standard deviation (n)"
    spread = "half the width of its 95% t interval" if ci else deviation
    told = [MEASURES[name] for name in metrics]
    one = len(told) == 1
    of = f"{told[0].title} {told[0].unit}" if one else f"{', '.join(splits.values())}, {PERCENT}"
    text = f"{of}: mean ± {spread} over seeds (n)"
    starred = {metric for (*_, metric), cell in table.items() if not cell.complete}
    if starred:
        reasons = dict.fromkeys(MEASURES[name].lacking for name in metrics if name in starred)
        text += "; * incomplete: " + ", or ".join(["some jobs of the cell are not finished", *filter(None, reasons)])
    lacking = {metric for (*_, metric), cell in table.items() if cell.lacking}
    reasons = dict.fromkeys(MEASURES[name].lacking for name in metrics if name in lacking)
    if lacking:
        text += f"; {NONE}: " + ", or ".join(filter(None, reasons))
    for measure in told:
        unit = f", {measure.unit}" if not one and measure.unit != PERCENT else ""
        name = measure.title if one or measure.short == measure.title else f"{measure.short}: {measure.title}"
        text += f"; {name}{unit} = {measure.formula}"
    text += "; a(t,j): accuracy on task j after task t of T"
    if any(map(stops, splits)):
        text += "; after task k of more: no later one was run, and k is T"
    return text


def _legend(standing: Mapping[Place, Standing], published: bool) -> str:
    text, marks = "", {entry.mark for entry in standing.values()}
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


def _splits(frame: pd.DataFrame) -> dict[str, str]:
    """Split to its title."""
    splits = frame.drop_duplicates("split")
    return {split: split_title(split, tasks) for split, tasks in zip(splits["split"], splits["tasks"], strict=True)}
