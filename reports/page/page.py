"""The report as one HTML page that needs nothing else: no network, no server, no other file."""

import base64
import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import colormaps
from matplotlib.figure import Figure

from dfcil_core.measures import FINAL, MEASURES, PERCENT
from orchestrator.spec.label import title_of
from orchestrator.spec.model import SHUFFLED
from orchestrator.text import counted, exact_duration
from reports.content import Content
from reports.figures import grid_figures, sweep_figures
from reports.jobs import FINISHED, PROVENANCE, JobReport, SweepReport, machines
from reports.page.curves import curves
from reports.page.methods import choices, methods
from reports.published import SOURCE
from reports.tables.caption import caption
from reports.tables.layout import Column, Layout, layout


def page(content: Content) -> str:
    """The page: what was run, the tables, curves, matrices, dreams, jobs, provenance."""
    frame, jobs = content.frame, content.jobs
    splits = {job.split: job.title for job in jobs}
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=", ".join(sweep.name for sweep in content.sweeps),
            states={
                state: sum(job.state == state for job in jobs) for state in dict.fromkeys(job.state for job in jobs)
            },
            finished=sum(job.state == FINISHED for job in jobs),
            notes=content.table.notes,
            facts=_facts(jobs),
            splits=splits,
            tables=_tables(content, list(splits)),
            measures=MEASURES,
            of_jobs=[measure for measure in MEASURES.values() if measure.heading],
            percent=PERCENT,
            source=SOURCE,
            charts=(charts := curves(jobs)),
            kinds={curve.name: curve.title for curve in charts},
            lines={line.label: line for curve in charts for line in curve.lines}.values(),
            figures=_figures(jobs),
            methods=(shown := methods(jobs)),
            seeds=choices(jobs) if shown else {},
            heats=_heats(),
            orders=_orders(jobs),
            rows=list(zip(jobs, frame.to_dict("records"), strict=True)),
            sweeps=[(sweep, _provenance(sweep)) for sweep in content.sweeps],
            machines=machines(jobs),
        )
    )


def _tables(content: Content, splits: Sequence[str]) -> list[tuple[str, str, Layout]]:
    """What a table is of (`measures`, or the name of one), its split (empty: all), and the table."""
    frame, first = content.frame, content.table
    names = list(dict.fromkeys((*first.metrics, *(name for name in MEASURES if _says_something(frame, name)))))

    def table(of_frame: pd.DataFrame, metrics: Sequence[str]) -> Layout:
        published = first.published if FINAL.name in metrics else None
        return layout(of_frame, metrics, first.ddof, first.ci, content.best, published)

    by_split = [("measures", split, table(frame[frame["split"] == split], names)) for split in splits]
    by_measure = [(name, "", table(frame, (name,))) for name in names] if len(splits) > 1 else []
    return [*by_split, *by_measure]


def _says_something(frame: pd.DataFrame, name: str) -> bool:
    """Whether any job has the measure, and, of one that tells of tasks of unequal sizes, whether there are such."""
    numbers = frame[name].dropna().astype(float)
    if MEASURES[name].logged_where_sizes_differ:
        return bool((numbers - frame.loc[numbers.index, FINAL.name]).abs().gt(1e-9).any())
    return not numbers.empty


def _facts(jobs: Sequence[JobReport]) -> list[tuple[str, str]]:
    """What was run, on what, and how long."""
    started = [job.started for job in jobs if job.started is not None]
    ended = [job.ended for job in jobs if job.ended is not None]
    times = {folder: seconds for job in jobs for folder, seconds in job.times.items()}
    took = (
        f"; {len(times)} stages that took {exact_duration(math.fsum(times.values()))} one after the other"
        if times
        else ""
    )
    seeds = sorted({job.seed for job in jobs})
    facts = {
        "Data": _values(jobs, "dataset", "{}") + ", " + _values(jobs, "image_size", "{} pixels wide and high"),
        "Methods": ", ".join(dict.fromkeys(title_of(job.label) for job in jobs)),
        "Splits": ", ".join(dict.fromkeys(job.title for job in jobs)),
        "Seeds": f"{', '.join(map(str, seeds[:10]))}{f' and {len(seeds) - 10} more' if len(seeds) > 10 else ''}",
        "Training": _values(jobs, "training.backbone", "{}")
        + ", "
        + _values(jobs, "training.epochs", "{} epochs a task"),
        "Computed on": "; ".join(machines(jobs)),
        "When": f"{_moment(min(started))} to {_moment(max(ended))} (UTC){took}" if started and ended else "",
    }
    return [(name, text) for name, text in facts.items() if text.strip(", ")]


def _values(jobs: Sequence[JobReport], path: str, form: str) -> str:
    """The values that jobs have of a setting; empty where none is known."""
    known = list(dict.fromkeys(job.settings[path] for job in jobs if path in job.settings))
    return form.format(" or ".join(known[:3]) + (" and others" if len(known) > 3 else "")) if known else ""


def _orders(jobs: Sequence[JobReport]) -> list[tuple[str, str, int | None, tuple[tuple[str, ...], ...]]]:
    """Split, its title, seed, and the names of the classes of each task, for each order that there is.

    The seed is None where every seed has the same order.
    """
    found: dict[tuple[str, str, int], tuple[tuple[str, ...], ...]] = {}
    fixed = {job.split for job in jobs if job.class_order != SHUFFLED.name}
    for job in jobs:
        place = (job.split, job.title, 0 if job.split in fixed else job.seed)
        if place not in found and (counts := job.counts()) is not None:
            found[place] = counts.tasks
    return [
        (split, title, None if split in fixed else seed, tasks) for (split, title, seed), tasks in sorted(found.items())
    ]


def _figures(jobs: Sequence[JobReport]) -> list[tuple[str, str, str]]:
    """Title, description and data address of each further figure."""
    cost = (
        "Final accuracy against the time that a job took",
        "Final accuracy in percent against the time that a job's stages took, those shared with other jobs included: a "
        "point a job, the mean of a method larger. Both are in the table of jobs.",
        sweep_figures.accuracy_against_cost(jobs),
    )
    over_values = (
        (
            f"Final accuracy over {path}",
            f"Final accuracy in percent over the values of {path}, a line a grid, bars of one standard deviation over "
            "seeds. The means are in the table of final accuracy.",
            figure,
        )
        for path, figure in grid_figures.over_values(jobs).items()
    )
    return [(title, told, _svg(figure)) for title, told, figure in (*over_values, cost) if figure is not None]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": _number,
        "moment": _moment,
        "duration": exact_duration,
        "counted": counted,
        "caption": caption,
        "method": title_of,
    }
    environment.globals |= {"entry": _entry}
    return environment


def _svg(figure: Figure) -> str:
    file = io.BytesIO()
    # Arranged here and not by `savefig`, which draws the whole figure once more to do it.
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.savefig(file, format="svg", metadata={"Date": None})
    # As an image, and not as elements of the page: the names inside two figures must not meet.
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _entry(table: Layout, label: str, column: Column) -> dict[str, object]:
    """What a cell of a table shows, and by what it is sorted."""
    cell, standing = table.cell(label, column), table.standing(label, column)
    return {
        "text": "—" if cell is None else str(cell) if table.n is None or cell.lacking else cell.number,
        "sort": "" if cell is None or cell.mean is None else repr(cell.mean),
        "best": bool(standing and standing.best),
        "mark": standing.mark if standing else "",
        "incomplete": bool(cell and not cell.complete),
        "lacking": bool(cell and cell.lacking),
        "published": table.figure(label, column),
        "difference": table.difference(label, column),
    }


def _provenance(sweep: SweepReport) -> dict[str, object]:
    """What all jobs of a sweep name, each once."""
    named = {
        name: list(dict.fromkeys(value for job in sweep.jobs for value in job.provenance.get(name, ())))
        for name in PROVENANCE
    }
    starts = [job.started for job in sweep.jobs if job.started is not None]
    ends = [job.ended for job in sweep.jobs if job.ended is not None]
    return {
        **named,
        "seeds": sorted({job.seed for job in sweep.jobs}),
        "started": min(starts, default=None),
        "ended": max(ends, default=None),
    }


def _number(value: object, digits: int = 1) -> str:
    """A number for people; a dash where there is none (None, NaN)."""
    return "—" if value is None or value != value else f"{value:.{digits}f}"


def _moment(seconds: float | None) -> str:
    """A time since 1970 as date and time of day in UTC."""
    return "—" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


@cache
def _heats() -> str:
    """A class of CSS for each whole percent, `h0` to `h100`: background, and black or white, whichever is told apart
    better. Named in every cell of every matrix, so short."""
    return "\n".join(f".h{percent} {{ {_heat(percent)} }}" for percent in range(101))


def _heat(percent: int) -> str:
    """Background and text colour of a cell of a matrix, as CSS."""
    red, green, blue, _ = colormaps["cividis"](percent / 100, bytes=True)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red / 255, green / 255, blue / 255)]
    # Relative luminance, and the contrast of white against it (WCAG 2, 1.4.3).
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    text = "#fff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000"
    return f"background: #{red:02x}{green:02x}{blue:02x}; color: {text};"
