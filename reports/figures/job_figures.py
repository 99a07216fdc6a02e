"""Figures of one job, and the comparison over tasks. Each function gives a new `Figure` and touches no global state."""

import itertools
import statistics
from collections.abc import Iterable, Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfcil_core.metrics import Matrix, mean_accuracy
from orchestrator.results.by_class import Confusion
from orchestrator.spec.label import title_of
from reports.figures.style import blank, dress, panels, style

_NAMED = 30  # classes that a confusion matrix names
_LINES = ("-", "--", ":", "-.")


class Drawable(Protocol):
    """What a figure needs of a job: a `JobResult` and a `JobReport` have it."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def fold(self) -> int | None: ...
    @property
    def matrix(self) -> Matrix: ...
    @property
    def local(self) -> Matrix: ...


def counted_as(jobs: Iterable[Drawable]) -> str:
    """What the jobs of one method and split are counted as: seeds, unless folds tell them apart, too."""
    return "seed" if all(job.fold is None for job in jobs) else "job"


def accuracy_matrix(result: Drawable, local: bool = False) -> Figure:
    """The accuracy matrix as a heat map: rows after task t, columns task j, cells in percent.

    `local`: argmax within the task's own classes (task-incremental), in the place of over all seen classes.
    """
    rows = result.local if local else result.matrix
    tasks = len(rows)
    side = min(8.0, max(2.8, 0.55 * tasks))
    # In inches. A layout that is computed would double the time of a drawing.
    width, height, left, bottom = side + 1.7, side + 1.1, 0.6, 0.55
    figure = blank(width, height)
    axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
    scale = figure.add_axes(((left + side + 0.15) / width, bottom / height, 0.16 / width, side / height))
    cells = [[row[j] if row and j < len(row) else float("nan") for j in range(tasks)] for row in rows]
    image = axes.imshow(cells, cmap="cividis", vmin=0, vmax=100)
    if tasks <= 20:
        size = 9 if tasks <= 10 else 6
        for t, j in itertools.product(range(tasks), repeat=2):
            if cells[t][j] == cells[t][j]:
                colour = "black" if cells[t][j] > 55 else "white"
                axes.text(j, t, f"{cells[t][j]:.0f}", ha="center", va="center", color=colour, fontsize=size)
    ticks = list(range(0, tasks, max(1, tasks // 10)))
    axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
    axes.set_yticks(ticks, [str(tick + 1) for tick in ticks])
    axes.set_xlabel("accuracy on task")
    axes.set_ylabel("after task")
    axes.set_title(_title(result, "own classes known" if local else "all seen classes"), fontsize=10)
    figure.colorbar(image, cax=scale, label="accuracy (%)")
    return figure


def accuracy_over_tasks(result: Drawable) -> Figure:
    """One line a task, from the moment it is learnt, and the average over the tasks seen so far, in percent."""
    tasks = len(result.matrix)
    figure = blank(6.4, 4.2)
    axes = figure.add_axes((0.1, 0.12, 0.87, 0.76))
    for task in range(tasks):
        known = [(t + 1, row[task]) for t, row in enumerate(result.matrix) if row and task < len(row)]
        if known:
            # Darker is later: with twenty tasks no palette tells every line apart, but the order remains readable.
            grey = str(0.8 - 0.55 * task / max(1, tasks - 1))
            axes.plot(*zip(*known, strict=True), color=grey, linewidth=1, marker=".", markersize=4)
            axes.annotate(f"{task + 1}", known[-1], xytext=(4, 0), textcoords="offset points", fontsize=7, color=grey)
    colour, marker = style(result.method)
    average = [(t + 1, mean_accuracy(row)) for t, row in enumerate(result.matrix) if row]
    if average:
        axes.plot(*zip(*average, strict=True), color=colour, marker=marker, linewidth=2.2, label="average")
        axes.legend(loc="lower left", frameon=False)
    _accuracy_axes(axes, tasks)
    axes.set_title(_title(result, "accuracy on each task"), fontsize=10)
    return figure


def confusion_matrix(name: str, confusion: Confusion) -> Figure:
    """What the test images of each class (rows) were taken for (columns), in percent of the row; lines part the tasks.

    Classes are in the order in which they were learnt. Up to 30 of them are named.
    """
    classes = len(confusion.classes)
    named = classes <= _NAMED
    longest = max(len(_shortened(label)) for label in confusion.classes) if named else 0
    side, room = min(8.0, max(3.0, 0.3 * classes)), 0.6 + 0.085 * longest
    # In inches. A layout that is computed would double the time of a drawing.
    width, height = side + room + 1.1, side + room + 0.6
    figure = blank(width, height)
    axes = figure.add_axes((room / width, room / height, side / width, side / height))
    scale = figure.add_axes(((room + side + 0.15) / width, room / height, 0.16 / width, side / height))
    images = confusion.counts.sum(1, keepdims=True)
    image = axes.imshow(100 * confusion.counts / images.clip(1), cmap="cividis", vmin=0, vmax=100)
    for end in itertools.accumulate(confusion.tasks[:-1]):
        axes.axhline(end - 0.5, color="white", linewidth=0.6)
        axes.axvline(end - 0.5, color="white", linewidth=0.6)
    if named:
        labels = [_shortened(label) for label in confusion.classes]
        axes.set_xticks(range(classes), labels, rotation=90, fontsize=8)
        axes.set_yticks(range(classes), labels, fontsize=8)
    axes.set_xlabel("taken for" if named else "taken for (classes in the order in which they are learnt)")
    axes.set_ylabel("is")
    axes.set_title(f"{name}\nconfusion after the last task", fontsize=10)
    figure.colorbar(image, cax=scale, label="test images of the class (%)")
    return figure


def _shortened(label: str) -> str:
    return label if len(label) <= 16 else f"{label[:15]}…"


def comparison(results: Iterable[Drawable]) -> Figure | None:
    """Average accuracy after each task, one panel a split, one line a method's label, over seeds.

    Lines are means; a band is one sample standard deviation to either side, drawn where at least two seeds reached the
    task, and the legend gives the number of seeds: while jobs are unfinished, from the least to the most. None where
    no job has any accuracy yet.
    """
    by_split = _by_split(results)
    if not by_split:
        return None
    figure, columns = panels(len(by_split))
    for axes, (title, labels) in zip(columns, by_split.items(), strict=True):
        seen: dict[str, int] = {}
        for label, jobs in labels.items():
            method = jobs[0].method
            _seed_band(axes, label, jobs, _LINES[seen.setdefault(method, 0) % len(_LINES)])
            seen[method] += 1
        _accuracy_axes(axes, max(len(job.matrix) for jobs in labels.values() for job in jobs))
        axes.set_ylabel("average accuracy (%)")
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _seed_band(axes: Axes, label: str, jobs: Sequence[Drawable], line: str) -> None:
    colour, marker = style(jobs[0].method)
    steps: list[int] = []
    means: list[float] = []
    spreads: list[float] = []
    counts: set[int] = set()
    for t in range(len(jobs[0].matrix)):
        values = [mean_accuracy(row) for job in jobs if (row := job.matrix[t])]
        if values:
            steps.append(t + 1)
            counts.add(len(values))
            means.append(statistics.fmean(values))
            spreads.append(statistics.stdev(values) if len(values) > 1 else 0.0)
    seeds = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    name = f"{title_of(label)} ({seeds} {counted_as(jobs)}{'s' if max(counts) > 1 else ''})"
    axes.plot(steps, means, color=colour, marker=marker, markersize=5, linestyle=line, label=name)
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    if len(steps) == 1:
        axes.errorbar(steps, means, yerr=spreads, color=colour, capsize=3)
    elif any(spreads):
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)


def _by_split(results: Iterable[Drawable]) -> dict[str, dict[str, list[Drawable]]]:
    """Split to label to the jobs that have any accuracy, in the order given."""
    found: dict[str, dict[str, list[Drawable]]] = {}
    for result in results:
        if any(result.matrix):
            labels = found.setdefault(result.title, {})
            labels.setdefault(result.label, []).append(result)
    return found


def _accuracy_axes(axes: Axes, tasks: int) -> None:
    dress(axes, "after task", "accuracy (%)")
    axes.set_ylim(-2, 102)
    axes.set_xlim(0.7, tasks + 0.3)
    axes.set_xticks(range(1, tasks + 1, max(1, tasks // 10)))


def _title(result: Drawable, what: str) -> str:
    return f"{result.name}\n{what}"
