"""`report`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dfcil_core.measures import FINAL, MEASURES
from orchestrator.cli import options
from orchestrator.cli.terminal import line_width, say, write_file
from orchestrator.cli.usage import completion
from orchestrator.errors import UserError, choices
from reports.formats import FORMATS

if TYPE_CHECKING:
    from reports.content import Paper
    from reports.jobs import JobReport, SweepReport


TIDY = ("matrix", "classes", "confusion")
"""The kinds of `reports.rows`, which this must not load."""


class Metrics(click.ParamType[tuple[str, ...]]):
    """Names of measures, joined by commas."""

    name = "metrics"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names, as click shows a choice."""
        return f"[{'|'.join(MEASURES)}],..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Each name once, in the order given."""
        names = tuple(dict.fromkeys(part.strip() for part in value.split(",")))
        for name in names:
            if name not in MEASURES:
                self.fail(f"{name!r} is no measure. {choices(name, MEASURES)}", param, ctx)
        return names


@click.command()
@click.argument("sweeps", metavar="SWEEP...", nargs=-1, required=True, shell_complete=completion.sweeps_and_studies)
@options.runs
@options.device
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="terminal",
    show_default=True,
    help="; ".join(["How the table is written", *(form.about for form in FORMATS.values() if form.about)]) + ".",
)
@click.option(
    "--metric",
    type=Metrics(),
    default=FINAL.name,
    show_default=True,
    help="; ".join(f"{name}: {measure.brief}" for name, measure in MEASURES.items())
    + ". Several give a table of methods by measures, of one split.",
)
@click.option(
    "--tasks", "splits", metavar="SPLIT", multiple=True, help="Of this split alone, as 5 or 50+10; repeatable."
)
@click.option(
    "--ddof",
    type=click.IntRange(0, 1),
    default=1,
    show_default=True,
    help="1: sample standard deviation; 0: the population's, which the published tables give.",
)
@click.option("--ci", is_flag=True, help="Half the width of the 95% t interval of the mean, instead of the deviation.")
@click.option("--best-bold", is_flag=True, help="The best of each group in bold; those not told from it marked.")
@click.option("--against", type=click.Choice(["published"]), help="Published figures beside, where comparable.")
@click.option(
    "--rows",
    type=click.Choice(["cells", "jobs", *TIDY]),
    help="csv and json: a row a cell, or a row a job. Default: cells; of json both, with all that is said of them. "
    "Terminal too: right answers on each task (matrix) or class (classes) after each task, or which class was taken "
    "for which in the end (confusion).",
)
@click.option("--columns", type=click.IntRange(1, 2), help="latex: columns of the paper; the table fits into one.")
@click.option("--across", is_flag=True, help="latex: over both columns of a paper of two.")
@click.option("--label", metavar="KEY", default="", help="latex: for \\\\ref, as tab:digits.")
@click.option("--siunitx", is_flag=True, help="latex: numbers aligned at their points by the package siunitx.")
@click.option("--tracking-uri", metavar="URI", help="Read from this MLflow tracking store, not from the runs folder.")
@click.option(
    "--figures",
    metavar="DIR",
    shell_complete=completion.folders,
    help="Write the figures there too, each as PNG, PDF and SVG.",
)
@click.option(
    "-o", "--output", metavar="FILE", shell_complete=completion.files, help="Write to a file, not to the terminal."
)
def report(
    sweeps: tuple[str, ...],
    runs: str | None,
    device: str,
    form: str,
    metric: tuple[str, ...],
    splits: tuple[str, ...],
    ddof: int,
    ci: bool,
    best_bold: bool,
    against: str | None,
    rows: str | None,
    columns: int | None,
    across: bool,
    label: str,
    siunitx: bool,
    tracking_uri: str | None,
    figures: str | None,
    output: str | None,
) -> None:
    """Print the table of SWEEPs (names, or spec files): methods by splits, or by measures, mean ± std (n) over seeds.

    A name may end in @COMMIT: then only what was computed at that commit counts. Of a study its best trials, what
    mattered, and what was confirmed.
    """
    import gc

    from orchestrator.cli import sources, studies
    from orchestrator.store import sweep_folder
    from reports.merge import merge
    from reports.published import comparable

    # A report makes millions of objects and ends: looking for garbage among them takes a third of its time.
    gc.disable()
    if rows in TIDY and form not in ("terminal", "csv", "json"):
        raise click.UsageError(f"--rows {rows} goes with --format terminal, csv or json")
    if rows and rows not in TIDY and form not in ("csv", "json"):
        raise click.UsageError(f"--rows {rows} goes with --format csv or json; html has a row a job anyway")
    if ci and ddof == 0:
        raise click.UsageError("--ci is computed from the sample standard deviation: leave --ddof 0 out")
    paper = _paper(form, columns, across, label, siunitx)
    folder = sweep_folder.runs_folder(runs)
    if not tracking_uri and (found := [study for name in sweeps for study in studies.instead_of_a_sweep(folder, name)]):
        _deliver(studies.report_text(folder, found, sweeps, form), output)
        return
    read = sources.read(runs, sweeps, device, tracking_uri)
    sources.warn_of_damage(read)
    jobs, notes = merge(read)
    jobs = _of_splits(jobs, splits)
    if rows != "jobs" and rows not in TIDY and len(metric) > 1 and not FORMATS[form].any_cells:
        _require_one_split(jobs)
    published = None
    if against:
        published, told = comparable(jobs, metric)
        notes += told
    asked = {"metric": metric, "ddof": ddof, "ci": ci, "best": best_bold, "published": published}
    width = None if output else line_width()
    text = _text(read, jobs, notes, form, rows, **asked, paper=paper, width=width)
    if figures:
        _figures(jobs, figures)
    _deliver(text, output)


def _deliver(text: str, output: str | None) -> None:
    if output:
        write_file(output, text)
    else:
        say(text, nl=False, styled=True)


def _paper(form: str, columns: int | None, across: bool, label: str, siunitx: bool) -> "Paper":
    from reports.content import Paper

    if form != "latex" and (columns or across or label or siunitx):
        raise click.UsageError("--columns, --across, --label and --siunitx go with --format latex")
    if across and columns == 1:
        raise click.UsageError("--across is of a paper of two columns: leave --columns 1 out")
    if not re.fullmatch(r"[\w:./+-]*", label, re.ASCII):
        raise UserError(f"--label {label}: only letters, digits and : . / + - _ can be in a label, as in tab:digits")
    return Paper(2 if across else columns or 1, across, label, siunitx)


def _of_splits(jobs: "list[JobReport]", splits: Sequence[str]) -> "list[JobReport]":
    """The jobs of these splits, named as tables name them (`5`, `5 tasks`); all where none is named."""
    known = dict.fromkeys(job.split for job in jobs)
    for split in splits:
        if split not in known and all(split != job.title for job in jobs):
            raise UserError(f"--tasks {split}: no job has this split. {choices(split, known)}")
    return [job for job in jobs if not splits or job.split in splits or job.title in splits]


def _require_one_split(jobs: "Sequence[JobReport]") -> None:
    found = list(dict.fromkeys(job.split for job in jobs))
    if len(found) > 1:
        raise UserError(
            f"--metric with several measures makes a table of one split, and there are {len(found)}: choose one with "
            f"--tasks {found[0]}. Choices: {', '.join(found)}. (--format csv, json and html take all of them)"
        )


def _text(
    read: "Sequence[SweepReport]",
    jobs: "Sequence[JobReport]",
    notes: Sequence[str],
    form: str,
    rows: str | None,
    **asked: Any,
) -> str:
    import json

    if rows in TIDY:
        from reports.rows import rows as tidy
        from reports.tables.rows_text import rows_text

        found = tidy(rows, jobs)
        if form == "csv":
            return found.to_csv(index=False)
        return rows_text(rows, found) if form == "terminal" else found.to_json(orient="records", indent=1) + "\n"
    from reports.frame import frame_of

    frame = frame_of(jobs)
    if rows == "jobs" and form == "csv":
        return frame.to_csv(index=False)
    if rows == "jobs":
        from reports.tables.csv_json import rows_of_jobs

        return json.dumps(rows_of_jobs(frame), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    from reports.tables.render import render

    text = render(frame, form, notes=tuple(notes), sweeps=read, jobs=jobs, **asked)
    if rows == "cells" and form == "json":
        return json.dumps(json.loads(text)["cells"], indent=1, ensure_ascii=False) + "\n"
    return text


def _figures(jobs: "Sequence[JobReport]", folder: str) -> None:
    from pathlib import Path

    from reports.figures.files import save_all

    try:
        written = save_all(jobs, Path(folder).expanduser())
    except OSError as error:
        raise UserError(f"--figures {folder}: {error.strerror}") from error
    say(f"{len(written)} files in {folder}", err=True)
