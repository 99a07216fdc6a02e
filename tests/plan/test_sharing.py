"""How much jobs share: the count of the published comparison, by hand and by the plan."""

from collections import Counter

import pytest

from orchestrator.engine import engine
from orchestrator.engine.events import StageStarted
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_result
from orchestrator.spec.load import parse_spec
from orchestrator.store.store import Store

SWEEP = """\
name: share
dataset: cifar100
methods: [abd, deep-inversion, lwf, base, bic]
tasks: [5, 10]
seeds: [SEEDS]
memory: 2000
"""


def kinds(plan) -> Counter[str]:
    return Counter(stage.recipe.kind for stage in plan.stages.values())


def test_five_methods_on_two_splits_are_91_learn_and_dream_stages_a_seed_and_not_101():
    plan = make_plan(parse_spec(SWEEP.replace("SEEDS", "0"), "spec"))
    # Apart: five methods learn 5 + 10 tasks; abd and deep-inversion dream after each but the last.
    each_alone = Counter(plan.stages[key].recipe.kind for job in plan.jobs for key in job.stages)
    assert each_alone["learn"] == 5 * (5 + 10) and each_alone["dream"] == 2 * (4 + 9)
    assert each_alone["learn"] + each_alone["dream"] == 101
    # Together: of each split, the first task is learnt once and not five times, and dreamed of once and not twice.
    assert kinds(plan)["learn"] == 75 - 2 * 4 and kinds(plan)["dream"] == 26 - 2 * 1
    assert kinds(plan)["learn"] + kinds(plan)["dream"] == 91
    assert kinds(plan)["remember"] == 4 + 9, "of bic, which are not counted among the 91"
    assert plan.unshared == 101 + 13


def test_seeds_share_nothing():
    plan = make_plan(parse_spec(SWEEP.replace("SEEDS", "0, 1, 2"), "spec"))
    assert kinds(plan)["learn"] + kinds(plan)["dream"] == 3 * 91


@pytest.mark.long
def test_the_91_run_once_each(tmp_path):
    """The same ten jobs for real, on made-up images and with next to no training: half a minute."""
    images = "{name: synthetic, classes: 20, train_per_class: 4, test_per_class: 2, image_size: 8}"
    tiny = "training: {backbone: resnet8, epochs: 1, batch_size: 16}\ndreaming: {steps: 2}\n"
    text = SWEEP.replace("SEEDS", "0").replace("cifar100", images).replace("2000", "40") + tiny
    plan = make_plan(parse_spec(text, "spec"))
    begun: Counter[str] = Counter()

    def listen(event) -> None:
        if isinstance(event, StageStarted):
            begun[event.stage.key] += 1

    store = Store(tmp_path / "runs")
    outcome = engine.run(plan, store, engine.Options(workers=2, free=True), listen)
    assert (outcome.done, outcome.failed, outcome.blocked) == (91 + 13, {}, set())
    assert begun == dict.fromkeys(plan.stages, 1)
    assert sum(plan.stages[key].recipe.kind != "remember" for key in begun) == 91
    records = store.records(plan.stages.values())
    results = [job_result(job, records) for job in plan.jobs]
    assert len(results) == 10 and all(result.finished for result in results)
    again = engine.run(plan, store, engine.Options(workers=2, free=True), listen)
    assert (again.done, again.reused) == (0, 91 + 13) and begun == dict.fromkeys(plan.stages, 1)
