"""Local answers of a split that a shared stage has not counted, from its kept test logits."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from dfcil_core.artifacts import LOGITS
from orchestrator.plan.plan import make_plan
from orchestrator.results import local_accuracy
from orchestrator.results.job_result import job_result
from orchestrator.store import derived
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from tests.support.fabricated import record, sweep

ORDER = (7, 8, 1, 5, 3, 4, 2, 0, 9, 6)  # of seed 0
FIVES, TWOS = ((7, 8, 1, 5, 3), (4, 2, 0, 9, 6)), ((7, 8), (1, 5), (3, 4), (2, 0), (9, 6))


def logits():
    """An image a class, in the class order. Each is taken for the class before its own (the first for the last), and
    where that is not of its task, for its own; but position 3 is taken for position 4 before any other.
    """
    scores = np.zeros((10, 10), dtype=np.float32)
    for position in range(10):
        scores[position, position] = 1
        scores[position, position - 1] = 2
    scores[3, 4] = 3
    return {"logits": scores, "labels": np.arange(10)}


@pytest.fixture
def plan():
    return sweep(("upper-bound",), seeds=(0,), splits=((5, 5), (2,) * 5))


@pytest.fixture
def store(plan, tmp_path):
    """The upper bound, learnt as one task of all classes; its record knows no split."""
    store = Store(tmp_path / "runs")
    store.prepare()
    (stage,) = plan.stages.values()
    work = store.stages / f".work-{stage.key[:16]}-test"
    work.mkdir()
    save_file(logits(), work / LOGITS)
    evaluation = {
        "images": {str(label): 1 for label in ORDER},
        "correct": {str(label): 0 for label in ORDER},
        "correct_local": {"-".join(map(str, ORDER)): 0},
    }
    store.commit(stage, work, {**record(plan, stage), "evaluation": evaluation})
    return store


def test_both_splits_have_their_local_accuracies(plan, store):
    records = store.records(plan.stages.values())
    assert all(job_result(job, records).local[-1] is None for job in plan.jobs)
    local_accuracy.complete(plan, plan.jobs, store, records)
    halves, pairs = (job_result(job, records) for job in plan.jobs)
    assert halves.job.tasks == FIVES and pairs.job.tasks == TWOS
    # Only the first class of a task has nothing before it: positions 0 and 5 are right, the other four are not.
    assert halves.local[-1] == (20.0, 20.0)
    # Of two classes the first is right, and the second is not: position 3 too, whose rival 4 is of another task, is
    # taken for position 2.
    assert pairs.local[-1] == (50.0,) * 5
    assert halves.matrix[-1] == (0.0, 0.0)


def test_where_the_first_of_a_task_is_wrong_too(plan, store, tmp_path):
    (stage,) = plan.stages.values()
    tensors = logits()
    tensors["logits"][0] = 0
    tensors["logits"][0, 4] = 9  # in the first task of five, in another of two
    tensors["logits"][0, 0] = 1
    save_file(tensors, store.folder(stage) / LOGITS)
    records = store.records(plan.stages.values())
    local_accuracy.complete(plan, plan.jobs, store, records)
    halves, pairs = (job_result(job, records) for job in plan.jobs)
    assert halves.local[-1] == (0.0, 20.0) and pairs.local[-1] == (50.0,) * 5


def test_what_was_derived_is_kept(plan, store):
    (stage,) = plan.stages.values()
    first = store.records(plan.stages.values())
    local_accuracy.complete(plan, plan.jobs, store, first)
    (store.folder(stage) / LOGITS).unlink()
    again = store.records(plan.stages.values())
    local_accuracy.complete(plan, plan.jobs, store, again)
    assert again[stage.key]["evaluation"] == first[stage.key]["evaluation"]
    kept = json.loads((store.folder(stage) / derived.FILE).read_text())["correct_local"]
    assert kept == {"7-8-1-5-3": 1, "4-2-0-9-6": 1, "7-8": 1, "1-5": 1, "3-4": 1, "2-0": 1, "9-6": 1}


def test_another_split_is_added_to_what_is_kept(plan, store):
    (stage,) = plan.stages.values()
    local_accuracy.complete(plan, plan.jobs[:1], store, store.records(plan.stages.values()))
    file = store.folder(stage) / derived.FILE
    assert len(json.loads(file.read_text())["correct_local"]) == 2
    local_accuracy.complete(plan, plan.jobs[1:], store, store.records(plan.stages.values()))
    assert len(json.loads(file.read_text())["correct_local"]) == 7
    assert [path.name for path in file.parent.glob(".*")] == []


def test_deriving_leaves_the_stage_sound(plan, store):
    (stage,) = plan.stages.values()
    local_accuracy.complete(plan, plan.jobs, store, store.records(plan.stages.values()))
    check(store.folder(stage), stage.key)


def test_what_the_record_says_is_not_counted_again(tmp_path):
    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    records = {key: record(plan, stage) for key, stage in plan.stages.items()}
    # There is no store to read logits from.
    local_accuracy.complete(plan, plan.jobs, Store(tmp_path / "none"), records)
    assert job_result(plan.jobs[0], records).local[-1] == (95.0, 95.0)


def test_stages_that_are_not_finished_are_left_alone(plan, tmp_path):
    every = make_plan(replace(plan.spec, seeds=(0, 1)))
    local_accuracy.complete(every, every.jobs, Store(tmp_path / "none"), {})
