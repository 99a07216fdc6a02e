"""`holdout: {share: ..., fold: ...}`: jobs for each fold, what is wrong with one, and `holdout: 0.1` as ever."""

import pytest

from orchestrator.errors import SpecError, UserError
from orchestrator.plan.choose import choose
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.spec.rehearsal import rehearse

SPEC = "name: s\nmethods: [base]\ntasks: [2]\nseeds: [0, 1]\n"


def read(holdout, rest="", name="digits"):
    return parse_spec(f"{SPEC}dataset: {{name: {name}, holdout: {holdout}}}\n{rest}", "s.yaml")


def data(spec):
    return {(job.fold, stage.recipe.data.holdout, stage.recipe.data.fold) for job, stage in _stages(make_plan(spec))}


def _stages(plan):
    return [(job, plan.stages[key]) for job in plan.jobs for key in job.stages]


def test_a_share_is_what_it_was():
    assert data(read(0.1)) == {(None, 0.1, None)}
    assert "fold" not in make_plan(read(0.1)).jobs[0].name
    assert all("fold" not in stage.recipe.to_json()["data"] for _, stage in _stages(make_plan(read(0.1))))


def test_every_fold_is_a_job_of_its_own():
    plan = make_plan(read("{share: 0.1, fold: [0, 7]}"))
    assert [job.name for job in plan.jobs] == [
        "base · 2 tasks · seed 0 · fold 0",
        "base · 2 tasks · seed 1 · fold 0",
        "base · 2 tasks · seed 0 · fold 7",
        "base · 2 tasks · seed 1 · fold 7",
    ]
    assert [job.slug for job in plan.jobs][-1] == "base-2-s1-f7"
    assert data(plan.spec) == {(0, 0.1, 0), (7, 0.1, 7)}
    assert len(plan.stages) == 8


def test_one_fold_is_named_too():
    assert make_plan(read("{share: 0.5, fold: 1}")).jobs[0].name == "base · 2 tasks · seed 0 · fold 1"


def test_a_third_may_be_written_short():
    assert read("{share: 0.33, fold: 2}").dataset.holdout == 1 / 3


def test_exclude_and_only_take_folds():
    spec = read("{share: 0.1, fold: [0, 7]}", "exclude: [{fold: 7, seed: 1}]\n")
    plan = make_plan(spec)
    assert [(job.seed, job.fold) for job in plan.jobs] == [(0, 0), (1, 0), (0, 7)]
    assert [(job.seed, job.fold) for job in choose(plan, ["fold=7"]).jobs] == [(0, 7)]
    with pytest.raises(UserError, match="'3' is no fold of this sweep. Choices: 0, 7"):
        choose(plan, ["fold=3"])


def test_a_rehearsal_has_an_image_for_each_fold():
    assert rehearse(read("{share: 0.02, fold: 3}", name="cifar10")).dataset.info.train_counts == (50,) * 10


@pytest.mark.parametrize(
    ("holdout", "message"),
    [
        (
            "{share: 0.15, fold: 0}",
            "5:42: dataset.holdout.share: folds of 0.15 do not make up all images. 0.143 makes 7",
        ),
        ("{share: 0.1, fold: 10}", "5:53: dataset.holdout.fold: there is no fold 10 of 0.1. It must be at most 9"),
        ("{share: 0.1, fold: [0, 0]}", "5:57: dataset.holdout.fold.1: 0 is given twice"),
        ("{share: 0.1, fold: []}", "5:53: dataset.holdout.fold: [] has too few items. Give at least 1"),
        ("{share: 0.1, fold: [-1]}", "5:54: dataset.holdout.fold.0: -1 is too small. It must be at least 0"),
        ("{share: 0.1, fold: first}", "5:53: dataset.holdout.fold.0: 'first' is not a whole number"),
        ("{share: 0.6, fold: 0}", "5:42: dataset.holdout.share: 0.6 is too large. It must be at most 0.5"),
        ("{share: 0, fold: 0}", "5:42: dataset.holdout.share: 0 is too small. It must be above 0"),
        ("{share: 0.1}", "dataset.holdout.fold: is missing"),
        ("{share: 0.1, folds: 0}", "dataset.holdout.folds: unknown key 'folds'. Did you mean 'fold'?"),
        ("{share: 0.005, fold: 0}", "5:42: dataset.holdout.share: 0.005 makes 200 folds, and a class has 139 training"),
        ("0.1}\nexclude: [{fold: 0}]\n#", "exclude.0.fold: 0 is no fold of this sweep. It has no folds"),
    ],
)
def test_a_wrong_fold_is_told_with_its_place(holdout, message):
    with pytest.raises(SpecError) as caught:
        read(holdout)
    assert any(message in str(problem) for problem in caught.value.problems), list(map(str, caught.value.problems))
