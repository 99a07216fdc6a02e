"""Figures of one job and of a sweep. Each function gives a new `Figure` and touches no global state of matplotlib.

A method has the same colour and marker in every figure, whatever else is in it: the colours of Okabe and Ito ("Color
Universal Design", 2008), which people with any colour vision tell apart; methods that share a colour differ in marker.
"""

import hashlib
import io
import itertools
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dfcil_core.metrics import average_accuracy
from orchestrator.results.job_result import JobResult

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"

STYLES: dict[str, tuple[str, str]] = {
    "upper-bound": (BLACK, "s"),
    "base": (BLUE, "X"),
    "lwf": (SKY, "o"),
    "lwf-mc": (SKY, "^"),
    "lwf-synthetic": (GREEN, "^"),
    "deep-inversion": (GREEN, "o"),
    "dgr": (YELLOW, "o"),
    "abd": (VERMILLION, "o"),
    "r-dfcil": (PURPLE, "o"),
    "rehearsal": (ORANGE, "o"),
    "lwf-coreset": (ORANGE, "^"),
    "e2e": (ORANGE, "D"),
    "bic": (ORANGE, "v"),
}
"""Colour and marker of each method."""

_SPARE_MARKERS = ("P", "p", "*", "h")
_LINES = ("-", "--", ":", "-.")


def style(method: str) -> tuple[str, str]:
    """Colour and marker of a method; those of a plug-in follow from its name, the same in every process."""
    if method in STYLES:
        return STYLES[method]
    colours = (BLUE, GREEN, VERMILLION, PURPLE, SKY, ORANGE)
    number = int.from_bytes(hashlib.sha256(method.encode()).digest()[:4])
    return colours[number % len(colours)], _SPARE_MARKERS[number // len(colours) % len(_SPARE_MARKERS)]


def blank(width: float, height: float, layout: str | None = None) -> Figure:
    """A figure of so many inches, with nothing in it."""
    figure = Figure(figsize=(width, height), dpi=100, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def accuracy_matrix(result: JobResult, local: bool = False) -> Figure:
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


def accuracy_over_tasks(result: JobResult) -> Figure:
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
    average = [(t + 1, average_accuracy(row)) for t, row in enumerate(result.matrix) if row]
    if average:
        axes.plot(*zip(*average, strict=True), color=colour, marker=marker, linewidth=2.2, label="average")
        axes.legend(loc="lower left", frameon=False)
    _accuracy_axes(axes, tasks)
    axes.set_title(_title(result, "accuracy on each task"), fontsize=10)
    return figure


def comparison(results: Iterable[JobResult]) -> Figure | None:
    """Average accuracy after each task, one panel a split, one line a method's label, over seeds.

    Lines are means; a band is one sample standard deviation to either side, drawn where at least two seeds reached the
    task, and the legend gives the number of seeds: while jobs are unfinished, from the least to the most. None where
    no job has any accuracy yet.
    """
    panels = _panels(results)
    if not panels:
        return None
    figure = blank(1.2 + 5.6 * len(panels), 4.4, layout="constrained")
    columns = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, labels) in zip(columns, panels.items(), strict=True):
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


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, or whatever the name of `path` ends in."""
    figure.savefig(path)


def png(figure: Figure) -> bytes:
    """The figure as a PNG. Drawn once, where `save` draws twice: half the time, which is a launch's own."""
    figure.canvas.draw()
    size = figure.canvas.get_width_height()
    written = io.BytesIO()
    Image.frombuffer("RGBA", size, figure.canvas.buffer_rgba()).convert("RGB").save(written, "PNG")
    return written.getvalue()


def _seed_band(axes, label: str, jobs: Sequence[JobResult], line: str) -> None:
    colour, marker = style(jobs[0].method)
    steps, means, spreads, counts = [], [], [], set()
    for t in range(len(jobs[0].matrix)):
        values = [average_accuracy(job.matrix[t]) for job in jobs if job.matrix[t]]
        if values:
            steps.append(t + 1)
            counts.add(len(values))
            means.append(statistics.fmean(values))
            spreads.append(statistics.stdev(values) if len(values) > 1 else 0.0)
    seeds = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    name = f"{label} ({seeds} seed{'s' if max(counts) > 1 else ''})"
    axes.plot(steps, means, color=colour, marker=marker, markersize=5, linestyle=line, label=name)
    low = [mean - spread for mean, spread in zip(means, spreads, strict=True)]
    high = [mean + spread for mean, spread in zip(means, spreads, strict=True)]
    if len(steps) == 1:
        axes.errorbar(steps, means, yerr=spreads, color=colour, capsize=3)
    elif any(spreads):
        axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)


def _panels(results: Iterable[JobResult]) -> dict[str, dict[str, list[JobResult]]]:
    """Split to label to the jobs that have any accuracy, in the order given."""
    panels: dict[str, dict[str, list[JobResult]]] = {}
    for result in results:
        if any(result.matrix):
            labels = panels.setdefault(result.title, {})
            labels.setdefault(result.label, []).append(result)
    return panels


def _accuracy_axes(axes, tasks: int) -> None:
    axes.set_xlabel("after task")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(-2, 102)
    axes.set_xlim(0.7, tasks + 0.3)
    axes.set_xticks(range(1, tasks + 1, max(1, tasks // 10)))
    axes.grid(axis="y", color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def _title(result: JobResult, what: str) -> str:
    return f"{result.name}\n{what}"
