"""Accuracies task by task and class by class, and confusions: from the store and from MLflow, in every format."""

import csv
import io
import json

import numpy as np
import pytest

import reports
from dfcil_core.artifacts import LOGITS
from dfcil_core.counts import confusion
from orchestrator.cli import sources
from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.results import by_class
from orchestrator.results.job_result import job_result, job_results
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from orchestrator.store.store import Store
from reports.rows import COLUMNS, rows
from tests.support.fabricated import finish, sweep, with_logits
from tests.support.reported import output
from tests.support.tracked import Tracker

ORDER = (7, 8, 1, 5, 3, 4, 2, 0, 9, 6)  # of seed 0


SPEC = """\
name: fab
dataset: {name: digits, image_size: 8}
methods: [base]
tasks: [5, {first: 6, then: 2}]
seeds: [0]
training: {backbone: resnet8, epochs: 3}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`base` on two splits, seed 0, with the logits of every task."""
    runs = tmp_path_factory.mktemp("runs")
    plan = make_plan(parse_spec(SPEC, "a test"))
    sweep_folder.save(runs, plan)

    finish(plan, runs, made=with_logits(runs))
    return runs


@pytest.fixture(scope="module")
def tracked(runs):
    """The same in a tracking store: its address."""
    plan = sweep_folder.load(runs, "fab")
    results = job_results(plan, Store(runs).records(plan.stages.values()))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with Tracker(plan, runs) as tracker:
            for result in results:
                tracker.deliver(result)
            assert tracker.finish("FINISHED", results) == 0
    return f"sqlite:///{runs}/mlflow.db"


def test_a_confusion_matrix_worked_by_hand():
    logits = np.array([[2, 1, 0], [0, 1, 2], [0, 3, 1], [0, 3, 1]], dtype=np.float32)
    assert confusion(logits, np.array([0, 0, 1, 2])).tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]


def test_a_row_for_each_task_after_each_task(runs):
    frame = reports.matrix("fab", runs=str(runs))
    assert list(frame.columns) == list(COLUMNS["matrix"]) and frame.attrs["notes"] == []
    uneven = frame[frame["tasks"] == "6+2"]
    # Of 40 images a class `base` has 40 right when it is new, 22 a task later, and 4 two tasks later.
    assert uneven[["after_task", "task", "right", "of"]].to_numpy().tolist() == [
        [1, 1, 240, 240],
        [2, 1, 132, 240],
        [2, 2, 80, 80],
        [3, 1, 24, 240],
        [3, 2, 44, 80],
        [3, 3, 80, 80],
    ]
    assert set(uneven["job"]) == {"base · 3 tasks (6+2) · seed 0"} and len(frame) == 6 + 15


def test_a_row_for_each_class_after_each_task(runs):
    frame = reports.classes("fab", runs=str(runs))
    last = frame[(frame["tasks"] == "5") & (frame["after_task"] == 5)]
    assert list(last["class"]) == list(map(str, ORDER)) and list(last["task"]) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert list(last["right"]) == [0, 0, 0, 0, 4, 4, 22, 22, 40, 40] and set(last["of"]) == {40}
    by_task = frame.groupby(["tasks", "after_task", "task"])[["right", "of"]].sum().reset_index()
    whole = reports.matrix("fab", runs=str(runs)).sort_values(["tasks", "after_task", "task"])
    assert by_task[["right", "of"]].to_numpy().tolist() == whole[["right", "of"]].to_numpy().tolist()


def test_a_row_for_each_confusion(runs):
    frame = reports.confusion("fab", runs=str(runs))
    one = frame[frame["tasks"] == "5"]
    found = {(row["class"], row["answer"]): row["images"] for row in one.to_dict("records")}
    newest = str(ORDER[-1])
    expected = {(name, answer): 1 for name in map(str, ORDER[:-1]) for answer in (name, newest)}
    assert found == expected | {(newest, newest): 2}


def test_the_names_of_classes_are_those_of_the_data_set(runs):
    from dfcil_core.data.catalog import DATASETS

    assert by_class.class_name(DATASETS["cifar100"], 99) == "worm"
    assert by_class.class_name(DATASETS["synthetic"], 12) == "12"  # it has no names


@pytest.mark.parametrize("kind", list(COLUMNS))
def test_csv_and_json_are_the_frame(runs, kind):
    frame = getattr(reports, kind)("fab", runs=str(runs))
    told = output("report", "fab", "--runs", runs, "--rows", kind, "--format", "csv")
    assert list(csv.reader(io.StringIO(told))) == [list(frame.columns), *(list(map(str, r)) for r in frame.to_numpy())]
    told = json.loads(output("report", "fab", "--runs", runs, "--rows", kind, "--format", "json", "--tasks", "5"))
    assert told == frame[frame["tasks"] == "5"].to_dict("records")


def test_the_terminal_shows_a_small_table_a_job(runs):
    told = output("report", "fab", "--runs", runs, "--rows", "matrix", "--tasks", "6+2")
    assert told == (
        "accuracy in percent on each task (columns) after each task (rows), over all classes seen so far\n\n"
        "base · 3 tasks (6+2) · seed 0\n"
        "  after task      1      2      3\n"
        "  1           100.0\n"
        "  2            55.0  100.0\n"
        "  3            10.0   55.0  100.0\n"
    )
    told = output("report", "fab", "--runs", runs, "--rows", "classes", "--tasks", "6+2").splitlines()
    assert told[3].split() == ["class", "task", "after", "1", "after", "2", "after", "3"]
    assert told[4].split() == ["7", "1", "100.0", "55.0", "10.0"] and told[-1].split() == ["6", "3", "100.0"]
    told = output("report", "fab", "--runs", runs, "--rows", "confusion", "--tasks", "5").splitlines()
    assert told[4].split() == ["7", "2", "1", "6", "1"] and told[-1].split() == ["6", "2", "2"]


@pytest.mark.long
def test_from_mlflow_the_same(runs, tracked, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (here,) = sources.read(str(runs), ["fab"], "cpu", None)
    (there,) = sources.read(str(runs), ["fab"], "cpu", tracked)
    by_name = {job.name: job for job in there.jobs}
    for kind in COLUMNS:
        assert rows(kind, here.jobs).equals(rows(kind, [by_name[job.name] for job in here.jobs]))


@pytest.mark.long
def test_a_run_that_does_not_know_its_classes_says_so(runs, tracked, monkeypatch):
    monkeypatch.setattr("reports.sources.mlflow.CLASSES", "of-old.csv")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (there,) = sources.read(str(runs), ["fab"], "cpu", tracked)
    with pytest.raises(UserError, match="does not have right answers by class"):
        rows("classes", there.jobs)


@pytest.mark.long
def test_sync_brings_them_to_runs_of_older_launches(runs, tracked, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    files = list(runs.glob("mlartifacts/**/classes.csv"))
    assert len(files) == 2
    for file in files:
        file.unlink()
    output("sync", "fab", "--runs", runs)
    (there,) = sources.read(str(runs), ["fab"], "cpu", tracked)
    assert len(rows("matrix", there.jobs)) == 6 + 15


def test_damaged_logits_leave_the_confusion_out_with_a_warning(tmp_path):
    plan = sweep(("base",), seeds=(0,))
    store = finish(plan, tmp_path)
    result = job_result(plan.jobs[0], store.records(plan.stages.values()))
    assert by_class.confusion(plan, result, store.stages) is None  # a record without logits
    last = plan.stages[plan.jobs[0].learn[-1]]
    result.records[last.key]["files"][LOGITS] = {"sha256": "0"}
    store.folder(last).joinpath(LOGITS).write_bytes(b"no tensors")
    with pytest.warns(match="The confusion matrix is left out"):
        assert by_class.confusion(plan, result, store.stages) is None
