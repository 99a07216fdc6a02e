"""Repeat-averaged tables: rows methods, columns splits, cells `mean ± std (n)` over seeds."""

import io
from dataclasses import dataclass

import pandas as pd

GROUPS = {"bound": "Bounds", "data-free": "Data-free", "memory": "With memory"}
FORMATS = ("terminal", "markdown", "csv")
DASH = "—"


@dataclass(frozen=True)
class Cell:
    """The jobs of one method on one split. `mean` and `std` in percent, over the `n` finished of `asked` jobs."""

    mean: float | None
    std: float | None
    n: int
    asked: int

    @property
    def complete(self) -> bool:
        return self.n == self.asked

    def __str__(self) -> str:
        count = f"({self.n})" if self.complete else f"({self.n} of {self.asked})*"
        if self.mean is None:
            return f"{DASH} {count}"
        spread = DASH if self.std is None else f"{self.std:.1f}"
        return f"{self.mean:.1f} ± {spread} {count}"


def cells(frame: pd.DataFrame, metric: str = "final", ddof: int = 1) -> dict[tuple[str, str], Cell]:
    """(label, split) to its cell. The standard deviation is the sample's (`ddof` 1) or the population's (0)."""
    table = {}
    for (label, split), jobs in frame.groupby(["label", "split"], sort=False):
        values = jobs[metric].astype(float).dropna()
        std = float(values.std(ddof=ddof)) if len(values) > ddof else None
        table[label, split] = Cell(float(values.mean()) if len(values) else None, std, len(values), len(jobs))
    return table


def render(frame: pd.DataFrame, form: str, metric: str = "final", ddof: int = 1) -> str:
    """The table as text in one of `FORMATS`."""
    return {"terminal": _terminal, "markdown": _markdown, "csv": _csv}[form](frame, metric, ddof)


def caption(frame: pd.DataFrame, metric: str, ddof: int) -> str:
    """What the cells are, and what a star means where there is one."""
    name = {"final": "final accuracy", "average": "average incremental accuracy", "forgetting": "forgetting"}[metric]
    deviation = "sample standard deviation (n - 1)" if ddof == 1 else "population standard deviation (n)"
    text = f"{name} in percent: mean ± {deviation} over seeds (n)"
    if not all(cell.complete for cell in cells(frame, metric, ddof).values()):
        text += "; * incomplete: some jobs of the cell are not finished"
    return text


def _rows(frame: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Group title to the labels in it, both in the order in which they are shown."""
    labels = frame.drop_duplicates("label")
    return [
        (title, list(labels.loc[labels["group"] == group, "label"]))
        for group, title in GROUPS.items()
        if (labels["group"] == group).any()
    ]


def _columns(frame: pd.DataFrame) -> dict[str, str]:
    """Split to column heading."""
    splits = frame.drop_duplicates("split")
    titles = {}
    for split, tasks in zip(splits["split"], splits["tasks"], strict=True):
        count = f"{tasks} task{'s' * (tasks != 1)}"
        titles[split] = count if split == str(tasks) else f"{count} ({split})"
    return titles


def _terminal(frame: pd.DataFrame, metric: str, ddof: int) -> str:
    from rich.console import Console
    from rich.table import Table

    columns, values = _columns(frame), cells(frame, metric, ddof)
    table = Table()
    table.add_column("method")
    for title in columns.values():
        table.add_column(title, justify="right")
    for title, labels in _rows(frame):
        table.add_row(f"[bold]{title}[/bold]")
        for label in labels:
            table.add_row(f"  {label}", *(str(values.get((label, split), DASH)) for split in columns))
        table.add_section()
    console = Console(file=io.StringIO(), width=max(100, 24 + 22 * len(columns)), highlight=False)
    console.print(table)
    # Not as the table's caption, which would be folded to its width.
    console.print(caption(frame, metric, ddof), soft_wrap=True)
    return console.file.getvalue()


def _markdown(frame: pd.DataFrame, metric: str, ddof: int) -> str:
    columns, values = _columns(frame), cells(frame, metric, ddof)
    lines = [f"| method | {' | '.join(columns.values())} |", f"| --- |{' ---: |' * len(columns)}"]
    for title, labels in _rows(frame):
        lines.append(f"| **{title}** |{'  |' * len(columns)}")
        for label in labels:
            shown = " | ".join(str(values.get((label, split), DASH)).replace("*", r"\*") for split in columns)
            lines.append(f"| {label} | {shown} |")
    return "\n".join([*lines, "", caption(frame, metric, ddof).replace("*", r"\*"), ""])


def _csv(frame: pd.DataFrame, metric: str, ddof: int) -> str:
    """Tidy: a row a cell, unrounded."""
    groups = frame.drop_duplicates("label").set_index("label")["group"]
    rows = [
        {
            "method": label,
            "group": groups[label],
            "split": split,
            "metric": metric,
            "mean": cell.mean,
            "std": cell.std,
            "ddof": ddof,
            "n": cell.n,
            "asked": cell.asked,
        }
        for (label, split), cell in cells(frame, metric, ddof).items()
    ]
    return pd.DataFrame(rows).to_csv(index=False)
