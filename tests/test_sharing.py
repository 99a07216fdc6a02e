"""How much jobs share: the count of the published comparison, by hand and by the plan."""

from collections import Counter

from orchestrator import spec
from orchestrator.plan import make_plan

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
    plan = make_plan(spec.parse(SWEEP.replace("SEEDS", "0"), "spec"))
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
    plan = make_plan(spec.parse(SWEEP.replace("SEEDS", "0, 1, 2"), "spec"))
    assert kinds(plan)["learn"] + kinds(plan)["dream"] == 3 * 91
