"""What a report writes beside tables: JSON, published figures beside the measured, figures as files."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from reports.frame import frame_of
from reports.published import comparable, figures
from reports.tables.render import render
from tests.support.reported import SPEC, job, launched, output


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    launched(folder, left_out=lambda job: job.entry.label == "base" and job.seed == 0)
    return folder


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
