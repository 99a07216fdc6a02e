"""A trial as a plan: what trials share, what stops one, and what its objective is made of."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from optuna.trial import TrialState

from dfcil_core.data.open import open_data
from orchestrator.results.job_result import JobResult
from orchestrator.tuning.confirm import confirm_plan
from orchestrator.tuning.pruner import TaskBoundaryPruner
from orchestrator.tuning.trials import TrialProgress, place, step_of, value_at
from tests.support.fake_tuning import read

PUBLISHED = {"dreaming.lr": 1e-3, "mu": 0.1}


def keys(settings, kind, task, seed=0):
    stages = TrialProgress(read(), settings, "cpu").plan.stages.values()
    (key,) = [
        stage.key for stage in stages if (stage.recipe.kind, stage.recipe.task, stage.recipe.seed) == (kind, task, seed)
    ]
    return key


def test_trials_share_what_the_tuned_settings_do_not_act_on():
    other_lr, other_mu = {**PUBLISHED, "dreaming.lr": 2e-3}, {**PUBLISHED, "mu": 0.2}
    assert keys(PUBLISHED, "learn", 1) == keys(other_lr, "learn", 1) == keys(other_mu, "learn", 1)
    assert keys(PUBLISHED, "dream", 1) == keys(other_mu, "dream", 1) != keys(other_lr, "dream", 1)
    assert len({keys(settings, "learn", 2) for settings in (PUBLISHED, other_lr, other_mu)}) == 3


def test_steps_go_seed_by_seed_and_a_step_needs_its_cell_alone():
    progress = TrialProgress(read(**{"tasks: [5]": "tasks: [2, 5]"}), PUBLISHED, "cpu")
    assert [place(step, 5) for step in progress.steps][:8] == [
        *((0, 1), (0, 2)),
        *((1, 1), (1, 2), (1, 3), (1, 4), (1, 5)),
        (2, 1),
    ]
    assert [cell.job.seed for cell in progress.cells] == [0, 0, 1, 1, 2, 2]
    needed = progress.needed(step_of(1, 3, 5)).values()
    assert [(stage.recipe.kind, stage.recipe.task) for stage in needed] == [
        *(("learn", 1), ("dream", 1)),
        *(("learn", 2), ("dream", 2)),
        ("learn", 3),
    ]
    assert len(progress.used(progress.steps[-1])) == len(progress.plan.stages)
    assert progress.used(None) == set()


def test_objectives_follow_the_accuracy_matrix():
    result = JobResult(SimpleNamespace(name="j"), ((90.0,), (60.0, 80.0), (30.0, 50.0, 70.0)), (), {})
    assert [value_at(result, "final_accuracy", task) for task in (1, 2, 3)] == [90, 70, 50]
    assert [value_at(result, "average_accuracy", task) for task in (1, 2, 3)] == [90, 80, 70]
    assert [value_at(result, "forgetting", task) for task in (1, 2, 3)] == [0, 30, (60 + 30) / 2]


# ---- pruning ---------------------------------------------------------------------------------------------------------


def trial(number, values, state=TrialState.RUNNING, published=False):
    return SimpleNamespace(
        number=number,
        state=state,
        intermediate_values=values,
        last_step=max(values, default=None),
        system_attrs={"fixed_params": {}} if published else {},
    )


def pruned(values, others, maximize=True, published=False, state=TrialState.COMPLETE, tasks=(3, 3), first_seed=1):
    trials = [trial(number, given, state) for number, given in enumerate(others, start=1)]
    me = trial(99, values, published=published)
    study = SimpleNamespace(get_trials=lambda deepcopy: [*trials, me])
    return TaskBoundaryPruner(tasks, first_seed, maximize).prune(study, me)


def at_2(*values):
    return [{1: 99.0, 2: value} for value in values]


def test_the_worse_half_is_stopped_at_a_task():
    assert pruned({1: 99.0, 2: 50.0}, at_2(40, 55, 60, 70))
    assert not pruned({1: 99.0, 2: 57.0}, at_2(40, 55, 60, 70))
    assert not pruned({1: 99.0, 2: 50.0}, at_2(50, 50, 50, 50))  # as good as the others is good enough
    assert pruned({1: 0.0, 2: 50.0}, at_2(10, 20, 30, 60), maximize=False)


def test_a_good_first_task_saves_nobody_and_a_bad_one_stops_nobody():
    """Optuna's median pruner takes the best value over all steps: 100% after task 1, and nobody is ever stopped."""
    assert pruned({1: 100.0, 2: 10.0}, at_2(40, 55, 60, 70))
    assert not pruned({1: 10.0}, [{1: 99.0}] * 9)
    assert not pruned({1: 99, 2: 80, 3: 70, 4: 10.0}, [{1: 99.0, 2: 60, 3: 50, 4: 99.0}] * 9)  # task 1 of seed 2


def test_too_few_others_say_nothing_and_failed_ones_are_none():
    assert not pruned({1: 99.0, 2: 1.0}, at_2(50, 60, 70))
    assert not pruned({1: 99.0, 2: 1.0}, at_2(50, 60, 70, 80, 90), state=TrialState.FAIL)
    assert pruned({1: 99.0, 2: 1.0}, at_2(50, 60, 70, 80), state=TrialState.PRUNED)


def test_only_equal_steps_are_compared():
    others = [{1: 99.0, 2: 60.0, 3: 50.0, 4: 99.0, 5: 95.0}] * 5
    assert not pruned({1: 99.0, 2: 65.0, 3: 55.0, 4: 99.0, 5: 96.0}, others)  # far below task 1 of its own
    assert pruned({1: 99.0, 2: 65.0, 3: 55.0, 4: 99.0, 5: 94.0}, others)


def test_after_the_first_seed_the_best_third_goes_on():
    others = [{1: 99.0, 2: 50.0, 3: value} for value in (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)]
    mine = {1: 99.0, 2: 50.0}
    assert not pruned({**mine, 3: 45.0}, others)  # two of six are better
    assert pruned({**mine, 3: 35.0}, others)  # three are, which an earlier task would let pass
    assert not pruned({1: 99.0, 2: 35.0}, [{1: 99.0, 2: other[3]} for other in others])


def test_with_several_splits_the_whole_first_seed_counts():
    others = [{3: 50.0, 6: 50.0}] * 6
    assert not pruned({3: 70.0, 6: 50.0}, others, tasks=(3, 3, 3, 3), first_seed=2)
    assert not pruned({3: 51.0, 6: 50.0}, others, tasks=(3, 3, 3, 3), first_seed=2)
    assert pruned({3: 49.0, 6: 50.0}, others, tasks=(3, 3, 3, 3), first_seed=2)


def test_the_published_setting_is_never_stopped():
    assert not pruned({1: 99.0, 2: 1.0}, at_2(40, 55, 60, 70), published=True)


# ---- held-out images -------------------------------------------------------------------------------------------------


def test_every_stage_of_trials_and_confirmation_is_judged_by_held_out_images():
    spec = read("trials: 6\nvalidation: 0.3")
    assert spec.dataset.holdout == 0
    plans = [TrialProgress(spec, PUBLISHED, "cpu").plan, confirm_plan(spec, {3: {**PUBLISHED, "mu": 0.2}}, "cpu")]
    assert {stage.recipe.data.holdout for plan in plans for stage in plan.stages.values()} == {0.3}


def test_held_out_images_are_training_images_that_are_not_trained_on():
    recipe = next(iter(TrialProgress(read("validation: 0.3"), PUBLISHED, "cpu").plan.stages.values())).recipe.data
    whole, parted = open_data(replace(recipe, holdout=0.0), None), open_data(recipe, None)

    def rows(images):
        return [bytes(image.to(torch.uint8).numpy().tobytes()) for image in images.pixels]

    assert sorted(rows(parted.train) + rows(parted.test)) == sorted(rows(whole.train))
    for label in range(10):
        of_class = int((whole.train.labels == label).sum())
        assert int((parted.test.labels == label).sum()) == round(0.3 * of_class)
