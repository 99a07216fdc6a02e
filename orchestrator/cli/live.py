"""The display of a launch in a terminal: how far it is, the accuracy of each method so far, and who does what."""

import time
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.standing import Group, Standing, Work
from orchestrator.text import counted, duration, printable

_WIDE = 120  # columns from which on a worker's line has room for the methods that its stage is for
_GAP = 2


def display(standing: Standing, console: Console) -> RenderableType:
    """The launch as it is now, in as many columns and lines as the console has."""
    busy = sorted(standing.busy.items())
    room = max(console.height - 8, 4)  # beside the bars, headings, empty lines, and what tells of more
    workers = busy[: max(room // 2, room - len(standing.groups()))]
    groups = _chosen(standing, room - len(workers))
    return Stack(
        _bars(standing),
        Text(),
        _methods(groups, console.width),
        *_rest(len(standing.groups()) - len(groups), "method"),
        Text(),
        _workers(standing, workers, console.width),
        *_rest(len(busy) - len(workers), "worker"),
    )


def times(standing: Standing) -> str:
    """`elapsed 40 s, about 3 min left`."""
    left = standing.seconds_left()
    return f"elapsed {duration(standing.elapsed)}" + ("" if left is None else f", about {duration(left)} left")


def _bars(standing: Standing) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    (jobs, all_jobs), (stages, all_stages) = standing.jobs, standing.stages
    grid.add_row("jobs", ProgressBar(all_jobs, jobs, width=30), f"{jobs}/{all_jobs}", "")
    grid.add_row("stages", ProgressBar(all_stages, stages, width=30), f"{stages}/{all_stages}", times(standing))
    return grid


def _chosen(standing: Standing, most: int) -> list[Group]:
    """The groups that there is room for, in the spec's order: those at work before those begun, and others last."""
    groups = standing.groups()
    if len(groups) <= most:
        return groups
    at_work = {id(group) for work in standing.busy.values() for group in standing.of_stage(work.stage)}
    urgent = sorted(groups, key=lambda group: (id(group) not in at_work, not group.tasks[0]))
    shown = {id(group) for group in urgent[: max(most - 1, 1)]}
    return [group for group in groups if id(group) in shown]


def _rest(number: int, noun: str) -> list[Text]:
    return [Text(f"and {counted(number, noun)} more", style="dim")] if number > 0 else []


def _methods(groups: Sequence[Group], width: int) -> Table:
    columns = {"method": [group.label for group in groups], "split": [group.split for group in groups]}
    if len(set(columns["split"])) == 1:
        del columns["split"]
    columns["tasks"] = [_of(group.tasks) for group in groups]
    columns["jobs"] = [_of(group.jobs) + (f", {group.failed} failed" if group.failed else "") for group in groups]
    left = width - sum(max(map(len, (heading, *cells))) + _GAP for heading, cells in columns.items())
    columns["accuracy after each task, %" if left >= 27 else "accuracy, %"] = [_curve(group, left) for group in groups]
    table = _table(*columns)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(_text, row))
    return table


def _curve(group: Group, width: int) -> str:
    """The accuracies so far; where there is no room for all, the last of them."""
    texts = [f"{value:.1f}" for value in group.curve if value is not None]
    fitting = max((width + 1) // 6, 1)  # `100.0 ` at most
    return " ".join(texts) if len(texts) <= fitting else " ".join(["…", *texts[-max(fitting - 1, 1) :]])


def _workers(standing: Standing, busy: Sequence[tuple[str, Work]], width: int) -> Table:
    wide = width >= _WIDE
    table = _table("worker", "works on", "at", "loss", "for", *(["methods"] if wide else []))
    for worker, work in busy:
        loss = f"{work.info['loss']:.4f}" if "loss" in work.info else ""
        cells = [worker, str(work.stage), work.place, loss, duration(max(0.0, time.time() - work.began))]
        if wide:
            cells.append(", ".join(dict.fromkeys(group.label for group in standing.of_stage(work.stage))))
        table.add_row(*map(_text, cells))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading)
    return table


def _of(counted_of: tuple[int, int]) -> str:
    return f"{counted_of[0]}/{counted_of[1]}"


def _text(cell: str) -> Text:
    # Cut, not folded: a line that grows and shrinks makes all below it jump.
    return Text(printable(cell), no_wrap=True, overflow="ellipsis")
