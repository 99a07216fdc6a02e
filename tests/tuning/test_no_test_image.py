"""No test image reaches an objective: with other test images, a search comes to the same numbers."""

from dataclasses import replace

import pytest
import torch

from dfcil_core import run_stage as core
from dfcil_core.data import sources
from dfcil_core.data.open import forget, open_data
from orchestrator.engine import engine
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tuning.confirm import confirm_plan
from orchestrator.tuning.trials import TrialProgress, final_value
from tests.support.fake_poison import POISONED, poison
from tests.support.fake_tuning import options, read, search

PUBLISHED = {"dreaming.lr": 1e-3, "mu": 0.1}
REAL = "dfcil_core.run_stage:run_stage"
SETTINGS = "training: {backbone: resnet8, epochs: 2, batch_size: 64}\ndreaming: {steps: 2}\ntune:"


def small(more, seeds):
    return read(more, **{"tasks: [5]": "tasks: [2]", "seeds: [0, 1, 2]": f"seeds: {seeds}", "tune:": SETTINGS})


def first(spec):
    return next(iter(TrialProgress(spec, PUBLISHED, "cpu").plan.stages.values()))


def objective_of(spec, folder):
    """The final accuracy of one seed of a trial, trained in this process."""
    progress = TrialProgress(spec, PUBLISHED, "cpu")
    records, folders = {}, {}
    for key, stage in progress.plan.stages.items():
        folders[key] = folder / key[:16]
        folders[key].mkdir(parents=True)
        parents = {role: folders[parent] for role, parent in stage.recipe.parents.items()}
        records[key] = core.run_stage(stage.recipe, folders[key], parents, core.Execution())
    return progress.values(records)


@pytest.fixture
def opened_anew():
    """What is opened with the poison in it stays with this test."""
    yield
    forget()


def test_a_trial_has_the_same_objective_with_other_test_images(tmp_path, monkeypatch, opened_anew):
    spec = small("validation: 0.2", [0])
    before = objective_of(spec, tmp_path / "before")
    data = replace(first(spec).recipe.data, holdout=0.0)
    plain = open_data(data, None).test
    monkeypatch.setattr(sources, "digits", poison(sources.digits))
    forget()
    assert not torch.equal(open_data(data, None).test.labels, plain.labels)  # the poison is in
    assert objective_of(spec, tmp_path / "after") == before


def searched(spec, runs, runner):
    """What a whole search with real workers, and its confirmation, come to."""
    found, _ = search(spec, runs, runner=runner)
    plan = confirm_plan(spec, {1: found.trials()[1].params}, "cpu")
    assert engine.run(plan, Store(runs), options(runner=runner), lambda event: None).failed == {}
    confirmed = job_results(plan, Store(runs).records(plan.stages.values()))
    trials = [(trial.state, trial.params, trial.values, trial.intermediate_values) for trial in found.trials()]
    return trials, [final_value(result, "final_accuracy") for result in confirmed]


def on_test_images(spec, runs, runner):
    """Right answers by class of a first task that is judged by the test images."""
    recipe = first(spec).recipe
    stage = Stage(replace(recipe, data=replace(recipe.data, holdout=0.0)))
    plan = Plan(spec, (), {stage.key: stage}, 1, 0)
    assert engine.run(plan, Store(runs), options(runner=runner), lambda event: None).failed == {}
    return Store(runs).record(stage)["evaluation"]["correct"]


@pytest.fixture
def one_worker_at_a_time(monkeypatch):
    """One trial at a time, so that the sampler knows the same of the others in both searches."""
    from tests.support import fake_tuning

    real = fake_tuning.options
    monkeypatch.setattr(fake_tuning, "options", lambda **changes: real(**{"workers": 1, **changes}))


@pytest.mark.long
def test_a_search_and_its_confirmation_are_the_same_with_other_test_images(tmp_path, one_worker_at_a_time):
    spec = small("trials: 3\nvalidation: 0.2\nconfirm: {top: 1, seeds: [7, 8]}", [0, 1])
    clean, poisoned = tmp_path / "clean", tmp_path / "poisoned"
    assert searched(spec, clean, REAL) == searched(spec, poisoned, POISONED)
    assert on_test_images(spec, clean, REAL) != on_test_images(spec, poisoned, POISONED)  # the workers had the poison
