"""Figures of a whole sweep: forgetting task by task, accuracy against cost, mean accuracy matrices, dreamed images."""

import io
import statistics
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from PIL import Image

from dfcil_core.metrics import lost_by_task, mean_accuracy
from orchestrator.spec.label import title_of
from reports.figures.style import blank, dress, panels, style
from reports.jobs import JobReport

_UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))


def forgetting_per_task(jobs: Iterable[JobReport]) -> Figure | None:
    """What each old task has lost at the end since its best moment, in percent: a panel a split, a line a label.

    Means over the finished seeds, the bars one sample standard deviation to either side. None where no finished job
    has an old task.
    """
    by_split = _by_split(job for job in jobs if job.finished and lost_by_task(job.matrix) is not None)
    if not by_split:
        return None
    figure, columns = panels(len(by_split))
    for axes, (title, labels) in zip(columns, by_split.items(), strict=True):
        tasks = max(job.tasks for jobs in labels.values() for job in jobs)
        for position, (label, of_label) in enumerate(labels.items()):
            lost = [lost_by_task(job.matrix) or [] for job in of_label]
            means = [statistics.fmean(values) for values in zip(*lost, strict=True)]
            spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in zip(*lost, strict=True)]
            colour, marker = style(of_label[0].method)
            # Side by side, so that no bar hides another.
            shift = 0.3 * (position / max(1, len(labels) - 1) - 0.5)
            places = [task + 1 + shift for task in range(len(means))]
            axes.errorbar(
                places, means, spreads, color=colour, marker=marker, markersize=4, linewidth=1, label=title_of(label)
            )
        axes.set_title(title, fontsize=10)
        dress(axes, "task", "forgetting at the end (%)")
        axes.set_xticks(range(1, tasks, max(1, tasks // 10)))
        axes.set_xlim(0.6, tasks - 0.6)
        axes.set_ylim(min(0, axes.get_ylim()[0]), max(10, axes.get_ylim()[1]))
        axes.legend(frameon=False, fontsize=8)
    return figure


def accuracy_against_cost(jobs: Iterable[JobReport]) -> Figure | None:
    """Final accuracy (%) against the time that a job's stages took, a point a job, the mean of a label larger.

    None where no job is finished.
    """
    by_split = _by_split(job for job in jobs if job.finished and job.matrix[-1])
    if not by_split:
        return None
    figure, columns = panels(len(by_split))
    longest = max(job.seconds for labels in by_split.values() for of_label in labels.values() for job in of_label)
    unit, length = next(unit for unit in _UNITS if longest >= 2 * unit[1] or unit[1] == 1)
    for axes, (title, labels) in zip(columns, by_split.items(), strict=True):
        for label, of_label in labels.items():
            colour, marker = style(of_label[0].method)
            times = [job.seconds / length for job in of_label]
            finals = [mean_accuracy(row) for job in of_label if (row := job.matrix[-1])]
            axes.scatter(times, finals, color=colour, marker=marker, s=14, alpha=0.4, linewidths=0)
            mean = statistics.fmean(times), statistics.fmean(finals)
            (point,) = axes.plot(*mean, linestyle="", label=title_of(label), color=colour, marker=marker, markersize=9)
            point.set_markeredgecolor("white")
        axes.set_title(title, fontsize=10)
        dress(axes, f"{unit} of a job's stages, shared ones included", "final accuracy (%)")
        axes.set_ylim(-2, 102)
        axes.set_xlim(0, None)
        axes.margins(x=0.1)
        axes.legend(frameon=False, fontsize=8)
    return figure


def mean_matrices(jobs: Iterable[JobReport]) -> dict[tuple[str, str], tuple[int, list[list[float | None]]]]:
    """(split's title, label) to the number of seeds and the mean accuracy matrix over them, in percent.

    Of the finished jobs. A cell that no job has, above the diagonal or of a task not trained, is None.
    """
    found = {}
    for title, labels in _by_split(job for job in jobs if job.finished).items():
        for label, of_label in labels.items():
            tasks = of_label[0].tasks
            mean: list[list[float | None]] = [[None] * tasks for _ in range(tasks)]
            for t in range(tasks):
                rows = [row for job in of_label if (row := job.matrix[t]) is not None]
                for j in range(t + 1) if rows else ():
                    mean[t][j] = statistics.fmean(row[j] for row in rows)
            found[title, label] = len(of_label), mean
    return found


def heat_maps(jobs: Iterable[JobReport]) -> Figure | None:
    """The mean accuracy matrices as heat maps, a panel a label and split. None where no job is finished."""
    matrices = mean_matrices(jobs)
    if not matrices:
        return None
    across = min(4, len(matrices))
    down = -(-len(matrices) // across)
    figure = blank(3 * across + 0.8, 3.1 * down, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, ((title, label), (seeds, mean)) in zip(grid, matrices.items(), strict=False):
        rows = [[float("nan") if cell is None else cell for cell in row] for row in mean]
        image = axes.imshow(rows, cmap="cividis", vmin=0, vmax=100)
        ticks = range(0, len(rows), max(1, len(rows) // 5))
        axes.set_xticks(ticks, [str(tick + 1) for tick in ticks])
        axes.set_yticks(ticks, [str(tick + 1) for tick in ticks])
        axes.set_title(f"{title_of(label)}\n{title}, mean of {seeds}", fontsize=9)
        axes.set_xlabel("accuracy on task", fontsize=8)
        axes.set_ylabel("after task", fontsize=8)
    for axes in grid[len(matrices) :]:
        axes.set_visible(False)
    figure.colorbar(image, ax=grid, label="accuracy (%)", fraction=0.02)
    return figure


def dream_sheet(name: str, pictures: Sequence[tuple[int, bytes]], learnt: Sequence[str] = ()) -> Figure | None:
    """The images dreamed after each task, side by side. None where there are none.

    `learnt`: of each task, the names of its classes.
    """
    if not pictures:
        return None
    across = min(4, len(pictures))
    down = -(-len(pictures) // across)
    figure = blank(4 * across, 2.4 * down + 0.4, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, (task, content) in zip(grid, pictures, strict=False):
        with Image.open(io.BytesIO(content)) as image:
            axes.imshow(image.convert("RGB"), interpolation="nearest")
        classes = f": {learnt[task - 1]}" if task <= len(learnt) else ""
        axes.set_title(f"after task {task}{classes}", fontsize=9)
    figure.suptitle(name, fontsize=10)
    return figure


def _by_split(jobs: Iterable[JobReport]) -> dict[str, dict[str, list[JobReport]]]:
    """Title of a split to label to jobs, in the order given."""
    found: dict[str, dict[str, list[JobReport]]] = {}
    for job in jobs:
        found.setdefault(job.title, {}).setdefault(job.label, []).append(job)
    return found
