"""What a report writes for a paper: LaTeX, JSON, published figures beside, figures as files."""

import json
import subprocess
from dataclasses import replace

import pytest
from PIL import Image

from reports.frame import frame_of
from reports.jobs import JobReport
from reports.published import comparable, figures
from reports.tables.render import render
from tests.support.reported import SPEC, launched, output
from tests.support.tools import need

PAPER = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\input{%s}
\end{document}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    launched(folder, left_out=lambda job: job.entry.label == "base" and job.seed == 0)
    return folder


def job(label="abd", seed=0, final=40.0, **changed) -> JobReport:
    """A job on CIFAR-100 with one accuracy everywhere."""
    matrix = tuple((final,) * t for t in range(1, 6))
    names = ("dataset", "cifar100"), ("group", "data-free"), ("state", "finished"), ("error", "")
    about = {"sweep": "s", "source": "s", "id": "", "label": label, "method": label, "split": "5", "tasks": 5}
    numbers = {"seed": seed, "images": (2000,) * 5, "done": 5, "asked": 5, "seconds": 1.0, "started": 0.0, "ended": 1.0}
    more = {"settings": {"quirks": "iccv2021"}, "provenance": {}, "stages": (), "matrix": matrix, "local": matrix}
    return JobReport(**{**dict(names), **about, **numbers, **more, **changed})


def test_latex_says_what_the_terminal_says():
    jobs = [job(seed=seed, final=40.0 + seed) for seed in (0, 1)] + [job(label="a_b & 50%", method="r-dfcil")]
    text = render(frame_of(jobs), "latex", best=True, notes=("2 jobs of x_y are missing",))
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    assert r"\quad a\_b \& 50\% & 40.0 $\pm$ ---$^{\ddagger}$ (1)" in text
    assert r"\quad abd & \textbf{40.5 $\pm$ 0.7} (2)" in text
    assert r"2 jobs of x\_y are missing." in text


@pytest.mark.server
@pytest.mark.parametrize("more", [(), ("--best-bold", "--ci", "--metric", "forgetting"), "published", "hostile"])
def test_the_latex_compiles(runs, tmp_path, more):
    need("pdflatex")
    table = tmp_path / "table.tex"
    if more == "published":
        jobs = [job(seed=seed, final=40.0 + seed) for seed in (0, 1)]
        table.write_text(render(frame_of(jobs), "latex", published=comparable(jobs, ("final",))[0]))
    elif more == "hostile":
        label = '\\a_b^c {50%} & #1 $x$ ~<y>|é 方法 "q" — ±'
        table.write_text(render(frame_of([job(label=label, method="abd")]), "latex", notes=(label, "two\nlines")))
    else:
        output("report", "demo", "--runs", runs, "--format", "latex", "--output", table, *more)
    (tmp_path / "paper.tex").write_text(PAPER % "table.tex")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")


def test_json_has_the_cells_and_a_row_a_job(runs):
    told = json.loads(output("report", "demo", "--runs", runs, "--format", "json", "--best-bold"))
    assert len(told["jobs"]) == 24 and len(told["cells"]) == 8
    base = next(cell for cell in told["cells"] if (cell["method"], cell["split"]) == ("base", "5"))
    finals = [row["final"] for row in told["jobs"] if (row["label"], row["split"]) == ("base", "5")]
    assert finals[0] is None and (base["n"], base["asked"]) == (2, 3)
    assert base["mean"] == pytest.approx(sum(finals[1:]) / 2) and base["p_holm"] is not None
    assert any("half-finished" in note for note in told["notes"])


# ---- published -------------------------------------------------------------------------------------------------------


def test_published_figures_stand_beside_and_apart():
    jobs = [job(seed=seed, final=40.0 + seed) for seed in (0, 1)]
    published, notes = comparable(jobs, ("final",))
    figure = figures()["abd", 0, "5"]
    assert published == {("abd", "5"): figure} and notes == []
    text = render(frame_of(jobs), "markdown", published=published)
    row = next(line for line in text.splitlines() if line.startswith("| abd"))
    assert row == (f"| abd | 40.5 ± 0.7 (2) | \\[{figure.mean:.1f} ± {figure.std:.1f}] | {40.5 - figure.mean:+.1f} |")
    assert "5 tasks, published" in text and "published: not measured here" in text


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dataset": "digits"}, "they are of cifar100, and this is digits"),
        ({"split": "50+10"}, "they are of equal tasks"),
        ({"settings": {"quirks": "none"}}, "quirks is none, and was iccv2021"),
        ({"settings": {"quirks": "iccv2021", "training.epochs": "2"}}, "training.epochs is 2"),
        ({"method": "my-plugin"}, "there is no published figure"),
    ],
)
def test_nothing_else_is_compared_with_what_was_published(changed, reason):
    published, notes = comparable([job(**changed)], ("final",))
    assert published == {} and len(notes) == 1 and reason in notes[0]


def test_other_metrics_were_not_published():
    assert comparable([job()], ("forgetting", "bwt"))[0] == {}


# ---- figures ---------------------------------------------------------------------------------------------------------


def test_figures_are_written_in_three_formats(runs, tmp_path):
    output("report", "demo", "--runs", runs, "--figures", tmp_path / "figures")
    made = sorted(path.name for path in (tmp_path / "figures").iterdir())
    names = ["accuracy-against-cost", "accuracy-matrices", "accuracy-over-tasks", "dreams-abd-2-s0", "dreams-abd-5-s0"]
    assert made == sorted(f"{n}.{f}" for n in (*names, "forgetting-per-task") for f in ("png", "pdf", "svg"))
    for path in (tmp_path / "figures").iterdir():
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width >= 300 and len(set(image.convert("L").tobytes())) > 10
        else:
            assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"<?xml")


def test_the_same_results_give_the_same_files(tmp_path):
    runs = tmp_path / "runs"
    launched(runs, text=SPEC.replace("  - rehearsal\n", "").replace("tasks: [2, 5]", "tasks: [2]"))
    for folder in ("one", "two"):
        output("report", "demo", "--runs", runs, "--figures", tmp_path / folder)
    for path in (tmp_path / "one").glob("*.p*"):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_folder_that_cannot_be_written(runs, tmp_path):
    from orchestrator.errors import UserError

    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--figures"):
        output("report", "demo", "--runs", runs, "--figures", tmp_path / "file")
    with pytest.raises(UserError, match="--output"):
        output("report", "demo", "--runs", runs, "--output", tmp_path / "none" / "x")


def test_forgetting_per_task_is_what_each_task_lost():
    from dfcil_core.metrics import lost_by_task
    from reports.figures.sweep_figures import forgetting_per_task

    rows = ((90.0,), (95.0, 80.0), (50.0, 70.0, 99.0))
    one = replace(job(), matrix=rows, local=rows, tasks=3)
    assert lost_by_task(one.matrix) == [45.0, 10.0]
    line = forgetting_per_task([one]).axes[0].containers[0].lines[0]
    assert list(line.get_ydata()) == [45.0, 10.0]
    assert forgetting_per_task([replace(one, state="half-finished")]) is None
