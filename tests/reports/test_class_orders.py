"""A sweep over class orders in the reports: from the store and from MLflow, and beside a sweep without."""

import pytest

from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store import recorded_plan
from orchestrator.store.our_files import write_json
from orchestrator.tracking import tracking_uri
from reports import load
from reports.frame import frame_of
from reports.sources.mlflow import read_sweep
from tests.support.reported import launched, output

SPEC = """\
name: {name}
dataset: digits
methods: [base, {{name: abd, mu: {{grid: [0.5, 1]}}}}]
tasks: [5, 2]
class_order: [shuffled, natural, {{name: evens, classes: [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]}}]
seeds: [0, 1]
training: {{epochs: 3, backbone: resnet8}}
dreaming: {{steps: 40}}
"""
SPLITS = ["5", "5@natural", "5@evens", "2", "2@natural", "2@evens"]


def test_each_order_is_a_column_of_its_own(tmp_path):
    launched(tmp_path, text=SPEC)
    frame = load("demo", runs=str(tmp_path))
    assert list(dict.fromkeys(frame["split"])) == SPLITS
    assert dict(zip(frame["split"], frame["class_order"], strict=True)) == dict(
        zip(SPLITS, ["shuffled", "natural", "evens"] * 2, strict=True)
    )
    shown = output("report", "demo", "--runs", tmp_path, "--format", "markdown")
    assert "| method | 5 tasks | 5 tasks (natural order) | 5 tasks (evens order) | 2 tasks |" in shown


@pytest.mark.long
def test_mlflow_says_the_same_of_finished_jobs_and_of_those_not_begun(tmp_path, blank):
    (tmp_path / "mlflow.db").write_bytes(blank.read_bytes())
    launched(tmp_path, text=SPEC, left_out=lambda job: 99 if job.split.order.name == "evens" else 0, tracked=True)
    here, there = load("demo", runs=str(tmp_path)), frame_of(read_sweep(tracking_uri(tmp_path, None), "demo").jobs)
    columns = ["label", "split", "tasks", "seed", "class_order", "final", "state"]
    places = ["label", "split", "seed"]
    one, other = (frame.sort_values(places)[columns].reset_index(drop=True) for frame in (here, there))
    assert one.equals(other)
    assert set(other["state"]) == {"finished", "missing"}


def test_a_plugins_plan_keeps_its_orders(tmp_path):
    text = SPEC.format(name="demo") + "stop_after: 2\nexclude: [{class_order: shuffled, tasks: 5}]\n"
    text = text.replace("dataset: digits", "dataset: {name: digits, holdout: {share: 0.2, fold: [4, 0]}}")
    plan = make_plan(parse_spec(text, "a test"))
    write_json(tmp_path / "plan.json", recorded_plan.to_json(plan))
    read = recorded_plan.load(tmp_path / "plan.json", text, (), False)
    assert (read.spec.splits, read.spec.dataset.folds) == (plan.spec.splits, (4, 0))
    assert [(job.name, job.class_order, job.tasks, job.stages) for job in read.jobs] == [
        (job.name, job.class_order, job.tasks, job.stages) for job in plan.jobs
    ]
