"""The curves of the page: lines over tasks, one a method, drawn as SVG that a script lets people ask and hide."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dfcil_core.metrics import forgetting, lost_by_task, mean_accuracy
from orchestrator.spec.label import title_of
from reports.figures.style import BLACK, style
from reports.jobs import JobReport

_DASHES = ("", "7 4", "2 3", "8 3 2 3")  # of further labels of one method
_MARKERS = {
    "s": "M-4,-4H4V4H-4Z",
    "X": "M-4,-4L4,4M-4,4L4,-4",
    "^": "M0,-5L5,4H-5Z",
    "v": "M0,5L5,-4H-5Z",
    "D": "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
    "P": "M-5,0H5M0,-5V5",
    "p": "M0,-5L5,-1L3,5H-3L-5,-1Z",
    "*": "M0,-6L2,-2L6,-1L3,2L4,6L0,4L-4,6L-3,2L-6,-1L-2,-2Z",
    "h": "M-5,0L-2.5,-4.5H2.5L5,0L2.5,4.5H-2.5Z",
    "o": "M-4.2,0A4.2,4.2 0 1,0 4.2,0A4.2,4.2 0 1,0 -4.2,0Z",
}
_Values = Callable[[JobReport], dict[int, float]]


@dataclass(frozen=True)
class Line:
    """The means over seeds of a method, with the sample standard deviation (0 of one seed) and the number of seeds."""

    label: str
    colour: str
    marker: str
    dash: str
    points: tuple[tuple[int, float, float, int], ...]
    """Task, mean, deviation, seeds."""


@dataclass(frozen=True)
class Curve:
    """A chart: one quantity of one split."""

    WIDTH: ClassVar[int] = 640
    HEIGHT: ClassVar[int] = 400
    LEFT: ClassVar[int] = 48
    RIGHT: ClassVar[int] = 14
    TOP: ClassVar[int] = 12
    BOTTOM: ClassVar[int] = 44
    """Of the drawing, and of its margins, in its own units; page.js knows them too."""

    name: str
    title: str
    told: str
    across: str
    split: str
    splits_title: str
    tasks: int
    low: float
    high: float
    lines: tuple[Line, ...]

    def x(self, task: float) -> float:
        """Where a task stands."""
        share = 0.5 if self.tasks == 1 else (task - 1) / (self.tasks - 1)
        return round(self.LEFT + 10 + share * (self.WIDTH - self.LEFT - self.RIGHT - 20), 1)

    def y(self, value: float) -> float:
        """Where a value in percent stands."""
        return round(
            self.TOP + (self.high - value) / (self.high - self.low) * (self.HEIGHT - self.TOP - self.BOTTOM), 1
        )

    @property
    def task_ticks(self) -> range:
        """The tasks that are numbered."""
        return range(1, self.tasks + 1, max(1, self.tasks // 10))

    @property
    def value_ticks(self) -> list[int]:
        """The values that are written."""
        step = 20 if self.high - self.low > 50 else 10 if self.high - self.low > 20 else 5
        return [value for value in range(-200, 201, step) if self.low <= value <= self.high]

    def path(self, line: Line) -> str:
        """The line through its means."""
        return "M" + "L".join(f"{self.x(task)},{self.y(mean)}" for task, mean, _, _ in line.points)

    def band(self, line: Line) -> str:
        """One deviation to either side; empty where there is none."""
        if len(line.points) < 2 or not any(spread for _, _, spread, _ in line.points):
            return ""
        above = [f"{self.x(task)},{self.y(min(self.high, mean + spread))}" for task, mean, spread, _ in line.points]
        below = [f"{self.x(task)},{self.y(max(self.low, mean - spread))}" for task, mean, spread, _ in line.points]
        return "M" + "L".join(above + below[::-1]) + "Z"

    @property
    def data(self) -> str:
        """What the script needs, as JSON."""
        lines = [
            {
                "label": line.label,
                "name": title_of(line.label),
                "colour": line.colour,
                "points": {t: [round(m, 1), round(s, 1), n] for t, m, s, n in line.points},
            }
            for line in self.lines
        ]
        at = {task: self.x(task) for task in range(1, self.tasks + 1)}
        return json.dumps({"across": self.across, "at": at, "lines": lines}, separators=(",", ":"), ensure_ascii=False)


def curves(jobs: Sequence[JobReport]) -> list[Curve]:
    """Every chart that there is something to draw in, split by split."""
    found = []
    for split, of_split in _grouped(jobs, lambda job: job.split).items():
        for name, title, told, across, values in _QUANTITIES:
            chart = _curve(split, of_split, name, title, told, across, values)
            if chart is not None:
                found.append(chart)
    return found


def _curve(
    split: str, jobs: Sequence[JobReport], name: str, title: str, told: str, across: str, values: _Values
) -> Curve | None:
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for label, of_label in _grouped(jobs, lambda job: job.label).items():
        by_task: dict[int, list[float]] = {}
        for job in of_label:
            for task, value in values(job).items():
                by_task.setdefault(task, []).append(value)
        if not by_task:
            continue
        colour, marker = style(of_label[0].method)
        dash = _DASHES[seen.setdefault(of_label[0].method, 0) % len(_DASHES)]
        seen[of_label[0].method] += 1
        points = tuple(
            (task, statistics.fmean(found), statistics.stdev(found) if len(found) > 1 else 0.0, len(found))
            for task, found in sorted(by_task.items())
        )
        drawn = "var(--ink)" if colour == BLACK else colour
        lines.append(Line(label, drawn, _MARKERS.get(marker, _MARKERS["o"]), dash, points))
    if not lines:
        return None
    if name.startswith("accuracy"):
        low, high = 0.0, 100.0
    else:
        ends = [mean + sign * spread for line in lines for _, mean, spread, _ in line.points for sign in (-1, 1)]
        low, high = 10.0 * min(0, int(min(ends) // 10)), 10.0 * max(1, -int(-max(ends) // 10))
    tasks = max(len(job.matrix) for job in jobs)
    return Curve(name, title, told, across, split, jobs[0].title, tasks, low, high, tuple(lines))


def _rows_of(
    matrix: Callable[[JobReport], Iterable[Sequence[float] | None]], value: Callable[[Sequence[float]], float]
) -> _Values:
    return lambda job: {task: value(row) for task, row in enumerate(matrix(job), start=1) if row}


def _forgotten(job: JobReport) -> dict[int, float]:
    found = {task: forgetting(job.matrix, task) for task in range(2, len(job.matrix) + 1)}
    return {task: value for task, value in found.items() if value is not None}


def _lost(job: JobReport) -> dict[int, float]:
    return dict(enumerate(lost_by_task(job.matrix) or (), start=1)) if job.finished else {}


_QUANTITIES: tuple[tuple[str, str, str, str, _Values], ...] = (
    (
        "accuracy",
        "Average accuracy",
        "mean accuracy on all tasks so far, in percent; it ends in the final accuracy",
        "after task",
        _rows_of(lambda job: job.matrix, mean_accuracy),
    ),
    (
        "accuracy-local",
        "Task-incremental accuracy",
        "mean accuracy on all tasks so far where only the classes of the image's own task compete, in percent",
        "after task",
        _rows_of(lambda job: job.local, mean_accuracy),
    ),
    (
        "accuracy-newest",
        "Accuracy on the newest task",
        "accuracy in percent on each task right after it was learnt",
        "after task",
        _rows_of(lambda job: job.matrix, lambda row: row[-1]),
    ),
    (
        "forgetting",
        "Forgetting",
        "mean over old tasks of the best accuracy before minus the accuracy now, in percent",
        "after task",
        _forgotten,
    ),
    (
        "lost",
        "Forgetting of each task",
        "what each old task has lost at the end since its best moment, in percent, of the finished jobs",
        "task",
        _lost,
    ),
)


def _grouped(jobs: Iterable[JobReport], key: Callable[[JobReport], str]) -> dict[str, list[JobReport]]:
    found: dict[str, list[JobReport]] = {}
    for job in jobs:
        found.setdefault(key(job), []).append(job)
    return found
