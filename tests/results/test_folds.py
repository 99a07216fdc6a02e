"""Folds that are trained on digits: each is tested on its own part of the training images, and on nothing else."""

from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from tests.support.helpers import run_plan

SPEC = """\
name: s
dataset: {name: digits, image_size: 8, train_per_class: 21, holdout: {share: 0.5, fold: [0, 1]}}
methods: [base]
tasks: [{first: 4, then: 4, last: smaller}]
class_order: {numpy_seed: 1993}
stop_after: 2
seeds: [0]
training: {backbone: resnet8, epochs: 1, batch_size: 16}
"""


def test_a_fold_is_tested_on_its_own_images(tmp_path):
    plan = make_plan(parse_spec(SPEC, "s.yaml"))
    records = run_plan(plan, tmp_path)
    first, second = (records[job.learn[-1]]["evaluation"]["images"] for job in plan.jobs)
    seen = [str(label) for label in (4, 2, 7, 6, 0, 3, 5, 8)]  # numpy's permutation, but for its last two
    assert list(first) == list(second) == seen
    assert (set(first.values()), set(second.values())) == ({10}, {11})  # of the 21 training images of each class
    assert not set(plan.jobs[0].stages) & set(plan.jobs[1].stages)
