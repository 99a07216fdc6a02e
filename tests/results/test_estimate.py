"""How long stages will take, by what is known of those like them."""

import pytest

from orchestrator.estimate import estimate
from orchestrator.plan.plan import make_plan
from orchestrator.results.estimate import Rates, time_left
from orchestrator.results.work import alike, images
from orchestrator.spec.load import parse_spec
from tests.support.fabricated import finish, record, sweep


def known(plan, stage):
    """The recipe of the stage, and of the one that chose its memory."""
    chosen = plan.stages.get(stage.recipe.parents.get("memory"))
    return stage.recipe, chosen and chosen.recipe


def timed(plan, stage):
    """A record of a stage whose images take a millisecond each, five in the first task."""
    each = 0.005 if stage.recipe.kind == "learn" and stage.recipe.task == 1 else 0.001
    return {**record(plan, stage), "seconds": each * images(*known(plan, stage))}


def test_stages_of_another_sweep_are_counted_with_their_memory(tmp_path):
    store = finish(sweep(methods=("bic", "rehearsal", "e2e"), seeds=(0,), name="other"), tmp_path, made=timed)
    plan = sweep(methods=("bic", "rehearsal", "e2e"), seeds=(1,), splits=((5, 5), (4, 2, 2, 2)))
    rates = Rates.of(plan, {}, store)
    for stage in plan.stages.values():
        assert rates.seconds(stage) == pytest.approx(timed(plan, stage)["seconds"]), str(stage)


def test_a_stage_of_another_sweep_whose_memory_is_not_there_tells_nothing(tmp_path):
    other = sweep(methods=("bic",), seeds=(0,), name="other")
    finish(other, tmp_path, [key for key, stage in other.stages.items() if stage.recipe.kind != "remember"], timed)
    plan = sweep(methods=("bic",), seeds=(1,))
    rates = Rates.of(plan, {}, finish(plan, tmp_path, []))
    later = next(stage for stage in plan.stages.values() if stage.recipe.method == "bic")
    assert alike(later.recipe) not in rates


def test_classes_of_more_images_take_longer():
    text = "name: s\ndataset: {name: cifar10, train_per_class: 50}\nmethods: [base]\ntasks: [5]\nseeds: [0]\n"
    small, large = (make_plan(parse_spec(part, "s")) for part in (text, text.replace("50", "500")))
    rates = Rates.of(small, {key: {"seconds": 2.0} for key in small.stages})
    assert [rates.seconds(stage) for stage in large.stages.values()] == pytest.approx([20.0] * 5)


def test_the_nearest_that_are_known_tell():
    plan = sweep(methods=("dgr", "base"), seeds=(0,))
    of = {(stage.recipe.method, stage.recipe.task): stage for stage in plan.stages.values()}
    rates = Rates()
    assert rates.seconds(of["dgr", 1]) is None
    rates.add(of["base", 2].recipe, 1.0)
    assert rates.seconds(of["dgr", 3]) == pytest.approx(1.0)  # any method's
    rates.add(of["dgr", 1].recipe, 3.0)
    assert rates.seconds(of["dgr", 3]) == pytest.approx(3.0)  # its own first task's
    rates.add(of["dgr", 2].recipe, 7.0)
    assert [rates.seconds(of["dgr", task]) for task in (1, 3)] == pytest.approx([3.0, 7.0])


def test_the_time_left_of_one_worker_is_what_a_plan_is_estimated_at():
    plan = sweep(methods=("base", "abd", "rehearsal", "e2e"), seeds=(0, 1), splits=((2, 2, 2, 2, 2), (5, 5)))
    records = {key: timed(plan, stage) for key, stage in plan.stages.items() if stage.recipe.seed == 0}
    rates = Rates.of(plan, records)
    whole = time_left(plan, set(plan.stages), rates, 1, {})
    assert (
        whole == pytest.approx(estimate(plan, records).planned(1)) == pytest.approx(rates.total(plan.stages.values()))
    )
    assert whole == pytest.approx(sum(timed(plan, stage)["seconds"] for stage in plan.stages.values()))
