"""Figures of a grid over settings: the final accuracy over the values of the one setting that varies."""

import math
import statistics
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dfcil_core.metrics import mean_accuracy
from orchestrator.spec.label import family_of
from reports.figures.style import dress, panels, style
from reports.jobs import JobReport

_LOG_FROM = 10  # times the least value, from which on the values are spaced by their order of magnitude
_Line = dict[float, list[JobReport]]


def over_values(jobs: Iterable[JobReport]) -> dict[str, Figure]:
    """Dotted path of a setting to its curves: final accuracy (%) over its values, a panel a split, a line a grid.

    Of the grids in which exactly one setting varies, over numbers. Points are means over the finished seeds, the bars
    one sample standard deviation to either side. A setting of which fewer than two values have a finished job has none.
    """
    found: dict[str, dict[str, dict[str, _Line]]] = {}
    for job in jobs:
        if len(job.varied) == 1 and job.finished and job.matrix[-1]:
            ((path, value),) = job.varied.items()
            if isinstance(value, int | float) and not isinstance(value, bool):
                lines = found.setdefault(path, {}).setdefault(job.title, {})
                lines.setdefault(_grid(job), {}).setdefault(value, []).append(job)
    drawn = {}
    for path, by_split in found.items():
        values = {value for lines in by_split.values() for line in lines.values() for value in line}
        if len(values) > 1:
            drawn[path] = _figure(path, by_split, values)
    return drawn


def _grid(job: JobReport) -> str:
    """The grid that a job is of; that of two sweeps which mean different things by it, by its sweep."""
    apart = f" [{job.source}]"
    return family_of(job.label) + (apart if job.label.endswith(apart) else "")


def _figure(path: str, by_split: dict[str, dict[str, _Line]], values: set[float]) -> Figure:
    figure, columns = panels(len(by_split))
    for axes, (title, lines) in zip(columns, by_split.items(), strict=True):
        for name, line in lines.items():
            _curve(axes, name, line)
        axes.set_title(title, fontsize=10)
        dress(axes, path, "final accuracy (%)")
        if min(values) > 0 and max(values) >= _LOG_FROM * min(values):
            axes.set_xscale("log")
        axes.set_xticks(sorted(values), [f"{value:g}" for value in sorted(values)])
        axes.minorticks_off()
        axes.set_ylim(-2, 102)
        axes.margins(x=0.1)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _curve(axes: Axes, name: str, line: _Line) -> None:
    finals = {value: [mean_accuracy(row) for job in line[value] if (row := job.matrix[-1])] for value in sorted(line)}
    means = [math.fsum(of_value) / len(of_value) for of_value in finals.values()]
    spreads = [statistics.stdev(of_value) if len(of_value) > 1 else 0.0 for of_value in finals.values()]
    counts = {len(of_value) for of_value in finals.values()}
    seeds = str(max(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    colour, marker = style(next(iter(line.values()))[0].method)
    label = f"{name} ({seeds} seed{'s' if max(counts) > 1 else ''})"
    axes.errorbar(list(finals), means, spreads, color=colour, marker=marker, markersize=5, capsize=3, label=label)
