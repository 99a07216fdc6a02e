"""A measure or a format is one registration: everything that shows, writes or logs them follows."""

import subprocess
import sys
from pathlib import Path

import pytest

from dfcil_core.measures import FINAL, MEASURES, Measure, objectives, register
from reports import formats
from tests.support.reported import SPEC, launched

# In a process of its own: whoever adds an entry to the list adds it before anything reads the list.
DRIVER = """\
from dfcil_core.measures import Measure, register
from reports import formats

register(
    Measure(
        name="worst",
        title="accuracy on the worst task",
        formula="min over j = 1..T of a(T,j)",
        value=lambda scores: min(scores.matrix[-1]),
        brief="the weakest task at the end",
        column="final accuracy on the task with the lowest, percent",
        digits=2,
        heading="worst",
        logged="final_worst",
        objective="worst_accuracy",
    )
)
formats.register(formats.Format("toy", lambda content: f"{len(content.jobs)} jobs\\n", "toy is a count of jobs"))
"""
REPORT = DRIVER + "from orchestrator.cli import main\nmain()\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("registries")
    launched(folder, "demo", SPEC.replace("  - rehearsal\n", "").replace("tasks: [2, 5]", "tasks: [2]"))
    return folder


def run(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_help_of_report_names_a_new_measure_and_a_new_format():
    told = " ".join(run(REPORT, "report", "--help").split())
    assert "|learning|intransigence|worst]" in told and "worst: the weakest task at the end." in told
    assert "|json|toy]" in told and "toy is a count of jobs." in told
    assert "worst" in run(REPORT, "compare", "--help")


def test_a_new_measure_is_in_the_table_the_files_and_the_page(runs):
    table = run(REPORT, "report", "demo", "--runs", runs, "--metric", "worst")
    assert "accuracy on the worst task in percent: mean" in table
    assert "accuracy on the worst task = min over j = 1..T of a(T,j)" in table
    (abd,) = [line for line in table.splitlines() if " abd " in line]
    assert len(abd.partition(" ± ")[0].rpartition(".")[2]) == 2  # digits
    header, *rows = run(REPORT, "report", "demo", "--runs", runs, "--format", "csv", "--rows", "jobs").splitlines()
    assert "worst" in header.split(",") and all(float(row.split(",")[header.split(",").index("worst")]) for row in rows)
    page = run(REPORT, "report", "demo", "--runs", runs, "--format", "html")
    # In the table of methods by measures, and in that of jobs.
    assert page.count('<button type="button">worst</button>') == 2
    assert "worst: accuracy on the worst task = min over j = 1..T of a(T,j)" in page


def test_a_new_format_is_written(runs):
    assert run(REPORT, "report", "demo", "--runs", runs, "--format", "toy") == "9 jobs\n"


def test_a_new_measure_is_logged_and_can_be_looked_for():
    code = DRIVER + (
        "from orchestrator.results.job_result import job_results\n"
        "from orchestrator.spec.model import OBJECTIVES\n"
        "from orchestrator.tracking.points import points\n"
        "from orchestrator.tuning.trials import final_value\n"
        "from tests.support.fabricated import record, sweep\n"
        "plan = sweep(('abd',), seeds=(0,))\n"
        "records = {key: record(plan, stage) for key, stage in plan.stages.items()}\n"
        "(result,) = job_results(plan, records)\n"
        "logged = {p.key: p.value for p in points(plan, result, 0, len(result.job.stages))}\n"
        "print(OBJECTIVES['worst_accuracy'], logged['final_worst'] == final_value(result, 'worst_accuracy'))\n"
    )
    assert run(code) == "maximize True\n"


def test_no_two_measures_and_no_two_formats_share_a_name():
    for kind, used in (("name", "final"), ("logged", "final_accuracy"), ("objective", "forgetting")):
        texts = {"name": "new", "title": "a toy", "formula": "0", "brief": "", "column": ""} | {kind: used}
        with pytest.raises(ValueError, match="of another measure"):
            register(Measure(value=lambda scores: 0.0, **texts))
    with pytest.raises(ValueError, match="a format csv already"):
        formats.register(formats.Format("csv", lambda content: ""))
    assert MEASURES["final"] is FINAL


def test_what_is_logged_and_what_a_search_can_look_for_keep_their_names():
    assert [measure.logged for measure in MEASURES.values() if measure.logged] == [
        "final_accuracy",
        "average_accuracy",
        "final_forgetting",
        "final_accuracy_image_weighted",
        "final_accuracy_top5",
    ]
    assert list(objectives()) == ["final_accuracy", "average_accuracy", "forgetting"]
