"""What is said below or above a table: what its cells are, what its marks mean, and the formulas of its measures."""

from collections.abc import Iterable
from dataclasses import dataclass

from dfcil_core.measures import MEASURES, PERCENT, Measure
from orchestrator.spec.model import stops
from orchestrator.text import counted
from reports.statistics import LEVEL
from reports.tables.cells import NONE, NOT_WORSE, UNTESTED
from reports.tables.layout import Layout


@dataclass(frozen=True)
class Clause:
    """A part of a caption."""

    text: str
    latex: str = ""
    """The same with mathematics as mathematics; empty: the text has none."""


def caption(table: Layout, once: bool = False) -> str:
    """All clauses as text. `once`: says the number of seeds, where all cells have the same, and they do not."""
    return "; ".join(clause.text for clause in clauses(table, once))


def clauses(table: Layout, once: bool = False) -> list[Clause]:
    """In order: the cells, held-out images, what is missing, the formulas, the marks, what was published."""
    return [_cells(table, once), *_held_out(table), *_missing(table), *_formulas(table), *_marks(table)]


def _cells(table: Layout, once: bool) -> Clause:
    told = [MEASURES[name] for name in table.metrics]
    of = f"{told[0].title} {told[0].unit}" if len(told) == 1 else f"{', '.join(table.splits.values())}, {PERCENT}"
    of = f"{table.own}, {of}" if table.own else of
    over = "seeds and folds" if table.folds else "seeds"
    count = f"over {over} (n)"
    if once and table.n is not None:
        count = f"over {table.n} runs (seeds and folds)" if table.folds else f"over {counted(table.n, 'seed')}"
    if table.ci:
        return Clause(f"{of}: mean ± half the width of its 95% t interval {count}")
    if table.ddof == 1:
        return Clause(f"{of}: mean ± sample standard deviation (n - 1) {count}")
    return Clause(f"{of}: mean ± population standard deviation (n) {count}")


def _held_out(table: Layout) -> Iterable[Clause]:
    if table.held_out:
        shares = ", ".join(f"{100 * share:.3g}" for share in table.held_out)
        which = f" (folds {', '.join(map(str, table.folds))})" if table.folds else ""
        yield Clause(f"tested on {shares}% of each class's training images, held out{which}, not on the test images")


def _missing(table: Layout) -> Iterable[Clause]:
    starred = {metric for (*_, metric), cell in table.cells.items() if not cell.complete}
    if starred:
        reasons = ["some jobs of the cell are not finished", *_reasons(table, starred)]
        yield Clause(f"* incomplete: {', or '.join(reasons)}")
    lacking = {metric for (*_, metric), cell in table.cells.items() if cell.lacking}
    if lacking:
        yield Clause(f"{NONE}: {', or '.join(_reasons(table, lacking))}")


def _reasons(table: Layout, metrics: set[str]) -> list[str]:
    """Why jobs may be without these measures, each once."""
    return list(dict.fromkeys(filter(None, (MEASURES[name].lacking for name in table.metrics if name in metrics))))


def _formulas(table: Layout) -> Iterable[Clause]:
    for name in table.metrics:
        measure = MEASURES[name]
        title = _title(measure, alone=len(table.metrics) == 1)
        yield Clause(f"{title} = {measure.formula}", f"{title}: {measure.latex}" if measure.latex else "")
    yield Clause(
        "a(t,j): accuracy on task j after task t of T", "$a_{t,j}$: accuracy on task $j$ after task $t$ of $T$"
    )
    if any(map(stops, table.splits)):
        yield Clause("after task k of more: no later one was run, and k is T")


def _title(measure: Measure, alone: bool) -> str:
    if alone:
        return measure.title
    unit = f", {measure.unit}" if measure.unit != PERCENT else ""
    return f"{measure.title if measure.short == measure.title else f'{measure.short}: {measure.title}'}{unit}"


def _marks(table: Layout) -> Iterable[Clause]:
    marks = {entry.mark for entry in table.standings.values()}
    if table.standings:
        yield Clause("bold: the best of its group, among complete cells")
    if NOT_WORSE in marks:
        over = "seeds and folds" if table.folds else "seeds"
        test = f"not distinguishable from the best (paired t test over the {over}, Holm-corrected, p at least"
        latex = test.replace("t test", "$t$ test").replace("p at least", r"$p \ge")
        yield Clause(f"{NOT_WORSE} {test} {LEVEL})", rf"$\dagger$ {latex} {LEVEL}$)")
    if UNTESTED in marks:
        yield Clause(f"{UNTESTED} fewer than two seeds shared with the best: not tested")
    if table.published:
        yield Clause("published: not measured here, mean ± population standard deviation")
        yield Clause("difference: measured − published", r"$\Delta$: measured $-$ published")
