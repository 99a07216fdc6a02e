"""`python -m benchmarks.sweep`: a launch beside the same jobs as plain scripts run them."""

import json

import pytest
import torch

from benchmarks import sweep
from benchmarks.speed.plain_jobs import PlainJob
from benchmarks.sweep import SPEC, Sides, as_text
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec

SMALL = {
    "precision": "float32",
    "methods": "base, abd",
    "backbone": "resnet8",
    "image_size": 8,
    "batch_size": 32,
    "tasks": 2,
    "epochs": 1,
    "steps": 2,
}


def plain_job(method, **sizes):
    plan = make_plan(parse_spec(SPEC.format(**{**SMALL, **sizes, "methods": method}), "sweep.yaml"))
    return PlainJob(plan.jobs[0], plan)


@pytest.mark.long
@pytest.mark.parametrize("method", ["rehearsal", "e2e", "bic", "abd"])
def test_a_plain_job_does_all_of_its_tasks(method, monkeypatch):
    job, trained = plain_job(method), []
    real = PlainJob.train
    monkeypatch.setattr(
        PlainJob, "train", lambda self, pool, *rest: trained.append(len(pool)) or real(self, pool, *rest)
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        final = job.run()
    finally:
        torch.set_num_threads(threads)
    assert 100 / 4 < final <= 100 and job.method.seen == 4
    first, second = (sum(len(job.method.of_class(label)) for label in classes) for classes in job.method.tasks)
    later = {
        "rehearsal": [2 * second],
        # The second phase is on the memory, which has been chosen anew.
        "e2e": [second + 100, 100],
        # Of the memory's 100 a tenth is held out: 5 of each old class, and as many of each new one.
        "bic": [second + 100 - 20, 20],
        "abd": [second],
    }
    assert trained == [first, *later[method]]


def test_what_is_printed_is_the_ratio_and_both_accuracies():
    # 3, 2 and 4 times: the median over rounds.
    sides = Sides([10.0, 20.0, 5.0], [30.0, 40.0, 20.0], {"base": (50.0, 49.25)})
    assert sides.ratio == 3.0
    text = as_text(sides, SMALL, 2, 0.5)
    assert "10.0 s; " in text and "30.0 s; 3.00 times; target 3: met" in text and "| base | 50.0 | 49.2 |" in text
    assert "target 5: MISSED" in as_text(sides, {**SMALL, "precision": "bfloat16"}, 2, 0.5)


@pytest.mark.long  # a launch with its workers, and a process with torch
def test_the_command_measures_both(tmp_path, monkeypatch):
    words = ["--methods", "base", "--backbone", "resnet8", "--image-size", "8", "--tasks", "2", "--epochs", "1"]
    monkeypatch.setattr("sys.argv", ["sweep", *words, "--steps", "2", "--workers", "1", "--json", f"{tmp_path}/x.json"])
    sweep.main()
    told = json.loads((tmp_path / "x.json").read_text())
    assert told["ratio"] == told["plain"][0] / told["ours"][0]
    assert set(told["accuracies"]) == {"base"}
