"""`--only`: which jobs of a plan it chooses, and what it answers to what is none."""

import re

import pytest

from orchestrator.errors import UserError
from orchestrator.plan.choose import choose
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec

SPEC = """\
name: some
dataset: {name: digits, image_size: 8}
methods: [base, abd, {name: abd, label: abd-light, mu: 0.2}]
tasks: [2, {first: 4, then: 2}]
seeds: [0, 1]
training: {backbone: resnet8, epochs: 1}
exclude: [{method: base, tasks: 2, seed: 1}]
"""


@pytest.fixture(scope="module")
def plan():
    return make_plan(parse_spec(SPEC, "spec.yaml"))


def slugs(plan):
    return [job.slug for job in plan.jobs]


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["method=base"], ["base-2-s0", "base-4+2-s0", "base-4+2-s1"]),
        (["method=abd-light,tasks=4+2"], ["abd-light-4+2-s0", "abd-light-4+2-s1"]),
        (["method=abd,tasks=2, seed=1"], ["abd-2-s1", "abd-light-2-s1"]),  # the name of a method is every entry's
        (["seed=1,tasks=2", "method=base,seed=0,tasks=2"], ["base-2-s0", "abd-2-s1", "abd-light-2-s1"]),
        ([{"method": "base", "tasks": 2, "seed": 0}], ["base-2-s0"]),
        ("method=base,tasks=2", ["base-2-s0"]),
        ("method=base,class_order=shuffled,tasks=2", ["base-2-s0"]),
    ],
)
def test_the_jobs_of_these_values_in_the_plans_order(plan, only, chosen):
    part = choose(plan, only)
    assert slugs(part) == chosen
    assert list(part.stages) == [key for key in plan.stages if any(key in job.stages for job in part.jobs)]
    for key, positions in part.users.items():
        assert [part.jobs[place] for place in positions] == [job for job in part.jobs if key in job.stages]
    assert part.unshared == sum(len(job.stages) for job in part.jobs)


def test_without_a_choice_it_is_the_plan_itself(plan):
    assert choose(plan, ()) is plan


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ("method=abdd", "--only method=abdd: 'abdd' is no method or label of this sweep. Did you mean 'abd'? Choices:"),
        ("tasks=3", "--only tasks=3: '3' is no split of this sweep. Choices: 2, 4+2"),
        ("seed=one", "--only seed=one: 'one' is no seed of this sweep. Choices: 0, 1"),
        (
            "sed=1",
            "--only sed=1: unknown field 'sed'. Did you mean 'seed'? Choices: method, tasks, class_order, seed, fold",
        ),
        ("fold=0", "--only fold=0: '0' is no fold of this sweep. It lists no folds"),
        ("seed=0,seed=1", "'seed' is given twice. Give --only again"),
        ("abd", "'abd' is no field with a value. Write it as method=abd,tasks=10,seed=0"),
        ("", "'' is no field with a value"),
        ({}, "chooses nothing"),
        ("method=base,tasks=2,seed=1", "chooses no job: `exclude` takes out what has all of these"),
    ],
)
def test_what_chooses_nothing_is_a_mistake(plan, only, told):
    with pytest.raises(UserError, match=re.escape(told)):
        choose(plan, [only])


def test_all_mistakes_are_told_at_once(plan):
    with pytest.raises(UserError) as mistake:
        choose(plan, ["method=lwf,seed=7", "mthod=abd"])
    assert len(str(mistake.value).splitlines()) == 3
