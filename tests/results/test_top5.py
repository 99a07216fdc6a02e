"""Top-5 accuracy, from the last record of a job to tables, MLflow and archives."""

import numpy as np
import pandas as pd
import pytest

from dfcil_core.config import Dreaming, Training
from dfcil_core.counts import count_right
from dfcil_core.data.catalog import synthetic_info
from dfcil_core.measures import MEASURES, Scores
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_result, top5_by_task
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec
from orchestrator.store.record import Unsound, dumps, loads
from orchestrator.tracking.points import points
from reports.frame import frame


def finished(classes, sizes):
    """A plan, its only job's result, and the records, from logits made up."""
    entry = MethodEntry("base", METHODS["base"](), Training(), Dreaming(), 0, "none")
    dataset = Dataset(synthetic_info(classes, 1, 4), 8)
    plan = make_plan(SweepSpec("s", dataset, (entry,), (Split(sizes, "split"),), (0,)))
    records = {}
    for stage in plan.stages.values():
        seen = sum(len(task) for task in stage.recipe.classes)
        labels = np.arange(seen).repeat(4)
        logits = np.random.default_rng(seen).standard_normal((len(labels), seen))
        records[stage.key] = {
            "evaluation": count_right(logits, labels, stage.recipe.classes),
            "curves": {"loss": [1.0], "lr": [0.1]},
            "key": stage.key,
            "kind": "learn",
            "task": stage.recipe.task,
            "folder": stage.folder,
            "files": {},
            "attempt": 1,
            "provenance": {"commit": "c", "versions": {}, "device": "cpu", "host": "here"},
            "started": 0.0,
            "ended": 1.0,
            "seconds": 1.0,
        }
        assert loads(dumps(records[stage.key], stage.recipe).encode(), stage.recipe)
    return plan, job_result(plan.jobs[0], records), records


@pytest.mark.parametrize(("classes", "sizes"), [(50, (20, 20, 10)), (60, (30, 30)), (50, (50,))])
def test_the_measure_is_the_mean_over_tasks_of_the_last_record(classes, sizes):
    plan, result, records = finished(classes, sizes)
    last = records[result.job.learn[-1]]["evaluation"]
    tasks = [100 * sum(last["correct_top5"][str(c)] for c in task) / (4 * len(task)) for task in result.job.tasks]
    assert top5_by_task(result) == pytest.approx(tasks)
    expected = sum(tasks) / len(tasks)
    assert MEASURES["top5"].value(Scores(result.matrix, top5=tasks)) == pytest.approx(expected)
    (row,) = frame(plan.spec, [result]).to_dict("records")
    assert row["top5"] == pytest.approx(expected) and row["top5"] > row["final"]
    logged = {point.key: point.value for point in points(plan, result, 0, len(sizes))}
    assert logged["final_accuracy_top5"] == pytest.approx(expected)


@pytest.mark.parametrize(("classes", "sizes"), [(20, (10, 10)), (49, (40, 9))])
def test_a_job_of_fewer_classes_does_not_have_it(classes, sizes):
    plan, result, _ = finished(classes, sizes)
    (row,) = frame(plan.spec, [result]).to_dict("records")
    assert top5_by_task(result) is None and pd.isna(row["top5"])
    assert "final_accuracy_top5" not in {point.key for point in points(plan, result, 0, 2)}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([], "should be an object"),
        ({}, "class 0 is missing"),
        ({"0": -1}, "greater than or equal to 0"),
        ({"0": 5}, "of 4 images"),
    ],
)
def test_a_records_count_is_looked_at(wrong, told):
    plan, _, records = finished(50, (50,))
    (stage,) = plan.stages.values()
    record = records[stage.key]
    evaluation = record["evaluation"]
    counts = {**evaluation["correct_top5"], **wrong} if wrong else wrong
    with pytest.raises(Unsound, match=f"correct_top5.*{told}"):
        dumps(record | {"evaluation": evaluation | {"correct_top5": counts}}, stage.recipe)
