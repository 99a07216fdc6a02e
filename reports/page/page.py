"""The report as one HTML page that needs nothing else: no network, no server, no other file."""

import base64
import html
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from dfcil_core.measures import FINAL, MEASURES, PERCENT
from orchestrator.spec.label import title_of
from orchestrator.text import exact_duration
from reports.content import Content
from reports.figures import grid_figures, job_figures, sweep_figures
from reports.figures.files import dreams
from reports.jobs import FINISHED, PROVENANCE, JobReport, SweepReport, machines
from reports.published import SOURCE
from reports.tables.layout import Column, Layout, layout

_DREAMS_WIDTH = 400  # pixels; wider sheets are shrunk


def page(content: Content) -> str:
    """The page: the table that was asked for, tables of the other measures, figures, dreams, jobs, provenance."""
    frame, first, jobs = content.frame, content.table, content.jobs
    shown = dict.fromkeys((*first.metrics, *(name for name in MEASURES if frame[name].notna().any())))
    published = first.published
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=", ".join(sweep.name for sweep in content.sweeps),
            states={
                state: sum(job.state == state for job in jobs) for state in dict.fromkeys(job.state for job in jobs)
            },
            finished=sum(job.state == FINISHED for job in jobs),
            notes=first.notes,
            tables=[
                layout(frame, name, first.ddof, first.ci, content.best, published if name == FINAL.name else None)
                for name in shown
            ],
            measures=MEASURES,
            of_jobs=[measure for measure in MEASURES.values() if measure.heading],
            percent=PERCENT,
            source=SOURCE,
            figures=_figures(jobs),
            matrices=sweep_figures.mean_matrices(jobs),
            dreams=[(job, [(task, _picture(shown)) for task, shown in pictures]) for job, pictures in dreams(jobs)],
            rows=list(zip(jobs, frame.to_dict("records"), strict=True)),
            sweeps=[(sweep, _provenance(sweep)) for sweep in content.sweeps],
            machines=machines(jobs),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "moment": _moment, "duration": exact_duration, "heat": _heat}
    environment.filters |= {"method": title_of}
    environment.globals |= {"entry": _entry}
    return environment


def _figures(jobs: Sequence[JobReport]) -> list[tuple[str, str, str]]:
    """Title, description and data address of each figure."""
    drawn = (
        (
            "Accuracy over tasks",
            "Average accuracy in percent after each task, a line a method, bands of one standard deviation over seeds. "
            "Of a method whose seeds are all finished, the line ends in the final accuracy of the table, and its mean "
            "is the average incremental accuracy.",
            job_figures.comparison(jobs),
        ),
        (
            "Forgetting per task",
            "What each old task has lost at the end since its best moment, in percent, a line a method. Its means are "
            "in the table of forgetting.",
            sweep_figures.forgetting_per_task(jobs),
        ),
        (
            "Accuracy against cost",
            "Final accuracy in percent against the time that a job's stages took, a point a job. Both are in the table "
            "of jobs.",
            sweep_figures.accuracy_against_cost(jobs),
        ),
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
    return [(title, told, _svg(figure)) for title, told, figure in (*drawn, *over_values) if figure is not None]


def _svg(figure: Figure) -> str:
    file = io.BytesIO()
    # Arranged here and not by `savefig`, which draws the whole figure once more to do it.
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.savefig(file, format="svg", metadata={"Date": None})
    # As an image, and not as elements of the page: the names inside two figures must not meet.
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _picture(content: bytes) -> str:
    """A picture as JPEG in a data address, its colours as sharp as its brightness: dreams are small."""
    file = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        shown = image.convert("RGB")
        if shown.width > _DREAMS_WIDTH:
            shown.thumbnail((_DREAMS_WIDTH, _DREAMS_WIDTH))
        shown.save(file, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _entry(table: Layout, label: str, column: Column) -> dict[str, object]:
    """What a cell of a table shows, and by what it is sorted."""
    cell, standing = table.cell(label, column), table.standing(label, column)
    return {
        "text": str(cell) if cell else "—",
        "sort": "" if cell is None or cell.mean is None else repr(cell.mean),
        "best": bool(standing and standing.best),
        "mark": standing.mark if standing else "",
        "incomplete": bool(cell and not cell.complete),
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
def _heat(percent: int) -> str:
    """Background and text colour of a cell of a matrix, as CSS; black or white, whichever is told apart better."""
    red, green, blue, _ = colormaps["cividis"](percent / 100, bytes=True)
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red / 255, green / 255, blue / 255)]
    # Relative luminance, and the contrast of white against it (WCAG 2, 1.4.3).
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    text = "#fff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000"
    return html.escape(f"background:#{red:02x}{green:02x}{blue:02x};color:{text}")
