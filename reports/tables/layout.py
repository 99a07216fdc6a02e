"""What a table is made of, before it is written in some format: columns, rows, cells, caption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dfcil_core.data.catalog import DATASETS
from dfcil_core.measures import FINAL, MEASURES
from orchestrator.spec.model import split_title
from reports.published import Published
from reports.tables.cells import Cell, Standing, cells, standings

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
    splits: Mapping[str, str]
    """Split to its title."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Heading of a group, and the labels in it."""
    cells: Mapping[Place, Cell]
    standings: Mapping[Place, Standing]
    """Empty where the best are not asked for."""
    published: Mapping[tuple[str, str], Published] | None
    """(label, split) to the published final accuracy; None where they are not asked for."""
    notes: tuple[str, ...]
    folds: tuple[int, ...] = ()
    """Of the training images, over which its cells are; empty where the sweeps list none."""
    own: str = ""
    """The title of images of one's own, where all of it is of them; empty where nobody gave one."""
    held_out: tuple[float, ...] = ()
    """Shares of the training images that stood for the test images; empty: the test images."""

    @property
    def n(self) -> int | None:
        """The number of jobs, where all cells that have a number are complete and of as many."""
        counts = {cell.n if cell.complete else None for cell in self.cells.values() if not cell.lacking}
        return counts.pop() if len(counts) == 1 else None

    def cell(self, label: str, column: Column) -> Cell | None:
        """None where no job was asked for."""
        return self.cells.get((label, column.split, column.metric))

    def standing(self, label: str, column: Column) -> Standing | None:
        """None where the best are not asked for, or there is nothing to compare with."""
        return self.standings.get((label, column.split, column.metric))

    def compares(self, column: Column) -> bool:
        """Whether published figures stand beside a column."""
        return self.published is not None and column.metric == FINAL.name

    def span(self, column: Column) -> int:
        """Columns that a column takes, with what stands beside it."""
        return 3 if self.compares(column) else 1

    @property
    def across(self) -> int:
        """Columns in all, but for the methods' names."""
        return sum(map(self.span, self.columns))

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
        splits,
        tuple(
            Column(split, name, MEASURES[name].short if len(metrics) > 1 else title)
            for split, title in splits.items()
            for name in metrics
        ),
        _rows(frame),
        table,
        standing,
        published or None,
        tuple(notes),
        tuple(sorted(frame["fold"].dropna().unique())),
        _own(frame),
        tuple(sorted(share for share in frame["holdout"].unique() if share)),
    )


def _own(frame: pd.DataFrame) -> str:
    """The one title that its data have, where that is none of the data sets known here."""
    titles = set(frame["dataset"]) if "dataset" in frame else set()
    title = str(titles.pop()) if len(titles) == 1 else ""
    return "" if title.partition(" (")[0] in DATASETS else title


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
