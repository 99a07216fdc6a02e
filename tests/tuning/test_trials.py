"""A trial as a plan: what trials share, what stops one, and what its objective is made of."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from optuna.trial import TrialState

from dfcil_core.data.open import open_data
from orchestrator.results.job_result import JobResult
from orchestrator.tuning.confirm import confirm_plan
from orchestrator.tuning.pruner import TaskBoundaryPruner
from orchestrator.tuning.trials import TrialProgress, value_at
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


def test_steps_go_task_by_task_and_a_step_needs_every_split_and_seed():
    progress = TrialProgress(read(**{"tasks: [5]": "tasks: [2, 5]"}), PUBLISHED, "cpu")
    assert progress.steps == [1, 2, 3, 4, 5]
    assert sorted((cell.job.split.tasks, cell.job.seed) for cell in progress.cells) == [
        (split, seed) for split in ("2", "5") for seed in (0, 1, 2)
    ]
    needed = progress.needed(3).values()
    counts = Counter((len(stage.recipe.classes[0]), stage.recipe.kind, stage.recipe.task) for stage in needed)
    assert counts == {
        **{(5, kind, task): 3 for kind, task in (("learn", 1), ("dream", 1), ("learn", 2))},
        **{(2, kind, task): 3 for kind, task in (("learn", 1), ("dream", 1), ("learn", 2), ("dream", 2), ("learn", 3))},
    }
    assert len(progress.used(progress.steps[-1])) == len(progress.plan.stages)
    assert progress.used(None) == set()


def test_the_value_after_a_task_is_the_mean_over_the_splits_and_seeds_that_have_it():
    progress = TrialProgress(read(**{"tasks: [5]": "tasks: [2, 5]", "[0, 1, 2]": "[0, 1]"}), PUBLISHED, "cpu")
    records = {}

    def learnt(task, split, seed, right):
        (job,) = [c.job for c in progress.cells if (c.job.split.tasks, c.job.seed) == (split, seed)]
        labels = [str(label) for classes in job.tasks[:task] for label in classes]
        counts = {"images": dict.fromkeys(labels, 100), "correct": dict.fromkeys(labels, right), "correct_local": {}}
        records[job.learn[task - 1]] = {"evaluation": counts}

    for split, seed, right in (("2", 0, 100), ("2", 1, 90), ("5", 0, 80), ("5", 1, 70)):
        assert not progress.reached(records)
        learnt(1, split, seed, right)
    assert progress.reached(records) and progress.value(records) == 85
    progress.advance()
    for split, seed, right in (("2", 0, 10), ("2", 1, 20), ("5", 0, 30), ("5", 1, 60)):
        learnt(2, split, seed, right)
    assert progress.value(records) == 30
    progress.advance()
    learnt(3, "5", 0, 50)
    assert not progress.reached(records)
    learnt(3, "5", 1, 20)
    assert progress.reached(records) and progress.value(records) == 35, "the split of two tasks has no third one"


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


def pruned(step, value, *others, maximize=True, published=False, state=TrialState.COMPLETE, tasks=5):
    """Whether a trial with that value at the step is stopped there, where others have these."""
    trials = [trial(number, {1: 99.0, step: other}, state) for number, other in enumerate(others, start=1)]
    me = trial(99, {1: 99.0, step: value}, published=published)
    study = SimpleNamespace(get_trials=lambda deepcopy: [*trials, me])
    return TaskBoundaryPruner(tasks, maximize).prune(study, me)


def test_the_worse_half_is_stopped_at_a_task():
    assert pruned(3, 50.0, 40, 55, 60, 70)
    assert not pruned(3, 57.0, 40, 55, 60, 70)
    assert not pruned(3, 50.0, 50, 50, 50, 50), "as good as the others is good enough"
    assert pruned(4, 50.0, 10, 20, 30, 60, maximize=False)


@pytest.mark.parametrize(("tasks", "earliest"), [(2, 3), (5, 3), (6, 3), (7, 4), (10, 5), (20, 10)])
def test_nobody_is_stopped_before_task_3_and_half_of_the_tasks(tasks, earliest):
    assert [task for task in range(2, tasks) if pruned(task, 1.0, 50, 60, 70, 80, tasks=tasks)] == list(
        range(earliest, tasks)
    )


def test_too_few_others_say_nothing_and_failed_ones_are_none():
    assert not pruned(3, 1.0, 50, 60, 70)
    assert not pruned(3, 1.0, 50, 60, 70, 80, 90, state=TrialState.FAIL)
    assert pruned(3, 1.0, 50, 60, 70, 80, state=TrialState.PRUNED)


def test_only_those_that_came_as_far_are_compared():
    others = [trial(number, {1: 99.0, 3: 60.0}) for number in range(1, 9)]
    me = trial(99, {1: 99.0, 3: 65.0, 4: 10.0})
    study = SimpleNamespace(get_trials=lambda deepcopy: [*others, me])
    assert not TaskBoundaryPruner(5, True).prune(study, me)


def test_the_published_setting_is_never_stopped():
    assert not pruned(3, 1.0, 40, 55, 60, 70, published=True)


# ---- held-out images -------------------------------------------------------------------------------------------------


def test_every_stage_of_trials_and_confirmation_is_judged_by_held_out_images():
    spec = read("trials: 6\nvalidation: 0.3")
    assert spec.dataset.holdout == 0
    plans = [TrialProgress(spec, PUBLISHED, "cpu").plan, confirm_plan(spec, {3: {**PUBLISHED, "mu": 0.2}}, "cpu")]
    assert [{stage.recipe.data.holdout for stage in plan.stages.values()} for plan in plans] == [{0.3}, {1 / 3}]


def test_held_out_images_are_training_images_that_are_not_trained_on():
    recipe = next(iter(TrialProgress(read("validation: 0.3"), PUBLISHED, "cpu").plan.stages.values())).recipe.data
    whole, parted = open_data(replace(recipe, holdout=0.0), None), open_data(recipe, None)

    def rows(images):
        return [bytes(image.to(torch.uint8).numpy().tobytes()) for image in images.pixels]

    assert sorted(rows(parted.train) + rows(parted.test)) == sorted(rows(whole.train))
    for label in range(10):
        of_class = int((whole.train.labels == label).sum())
        assert int((parted.test.labels == label).sum()) == round(0.3 * of_class)
