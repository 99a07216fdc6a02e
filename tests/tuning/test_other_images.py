"""A confirmation holds out other images than the trials did; where there are none, it says so."""

import json
from dataclasses import replace

import pytest
import torch

from dfcil_core.data.open import open_data
from orchestrator.plan.plan import make_plan
from orchestrator.store.store import Store
from orchestrator.tuning.confirm import confirm_plan, other_folds, read_verdict
from orchestrator.tuning.session import Session, TuningOptions
from orchestrator.tuning.studies import CONFIRMATION, WINNER
from orchestrator.tuning.trials import TrialProgress
from tests.support.fake_tuning import options, read

PUBLISHED = {"dreaming.lr": 1e-3, "mu": 0.1}
FOUND = {3: {**PUBLISHED, "mu": 0.2}}
SHORT = {"seeds: [0, 1, 2]": "seeds: [0]", "tasks: [5]": "tasks: [2]"}


def recipe_of(plan):
    (found,) = {json.dumps(stage.recipe.to_json()["data"], sort_keys=True) for stage in plan.stages.values()}
    return next(iter(plan.stages.values())).recipe.data, json.loads(found)


def rows(images):
    return {pixels.to(torch.uint8).numpy().tobytes() for pixels in images.pixels}


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
def test_no_image_of_a_trial_is_one_of_the_confirmation(share):
    spec = read(f"validation: {share}")
    trial, _ = recipe_of(TrialProgress(spec, PUBLISHED, "cpu").plan)
    confirmation, told = recipe_of(confirm_plan(spec, FOUND, "cpu"))
    folds = round(1 / share)
    assert other_folds(spec) == folds and told["fold"] == folds - 1
    held = rows(open_data(trial, None).test), rows(open_data(confirmation, None).test)
    assert held[0] and held[1] and held[0].isdisjoint(held[1])


def test_stages_of_trials_are_those_of_a_sweep_with_that_holdout_and_none_is_the_confirmations():
    spec = read("validation: 0.2", **SHORT)
    sweep = read("validation: 0.2", **SHORT, **{"image_size: 8": "image_size: 8, holdout: 0.2"})
    trial = TrialProgress(spec, PUBLISHED, "cpu").plan
    assert trial.stages.keys() == make_plan(sweep, "cpu").stages.keys()
    # Even with the trials' own setting and seeds: which seeds are no trial's is for the reader of the spec to check.
    tune = replace(spec.tune, confirm=replace(spec.tune.confirm, seeds=spec.seeds))
    assert trial.stages.keys().isdisjoint(confirm_plan(replace(spec, tune=tune), {3: PUBLISHED}, "cpu").stages)


def counted(spec, *counts):
    info = replace(spec.dataset.info, train_counts=counts)
    return replace(spec, dataset=replace(spec.dataset, info=info))


def test_a_class_with_too_few_images_leaves_the_trials_own():
    tenth, half = read("validation: 0.1"), read("validation: 0.5")
    assert other_folds(counted(tenth, 10, 50)) == 10
    assert other_folds(counted(tenth, 9, 50)) is None
    # Of 7 images a trial holds out round(3.5) = 4; the second of two folds begins with the fourth.
    assert other_folds(counted(half, 7)) is None and other_folds(counted(half, 8)) == 2
    plan = confirm_plan(counted(half, 7), FOUND, "cpu")
    assert {(stage.recipe.data.holdout, stage.recipe.data.fold) for stage in plan.stages.values()} == {(0.5, None)}


@pytest.fixture
def no_tracking(monkeypatch):
    class Nothing:
        def __init__(self, *_): ...

        def start(self): ...

        def deliver(self, view): ...

        def finish(self, views, ending): ...

    monkeypatch.setattr("orchestrator.tuning.session.StudyTracker", Nothing)
    monkeypatch.setattr("orchestrator.tuning.plots.draw", lambda *_: None)


@pytest.mark.long
def test_a_study_confirmed_on_the_trials_images_is_confirmed_anew(tmp_path, no_tracking, monkeypatch):
    asked = read("trials: 2\nconfirm: {top: 1, seeds: [7, 8]}", **SHORT)

    def tuned():
        lines = []
        return Session(asked, TuningOptions(tmp_path, options()), lines.append).run(), "\n".join(lines)

    with monkeypatch.context() as before:  # as it was done before there was another fold
        before.setattr("orchestrator.tuning.confirm.other_folds", lambda spec: None)
        before.setattr("orchestrator.tuning.session.other_folds", lambda spec: None)
        old, text = tuned()
    assert "warning: the confirmation has the trials' own held-out images: " in text
    file = old.folder / CONFIRMATION
    told = json.loads(file.read_text())
    del told["folds"]  # which that version did not write
    file.write_text(json.dumps(told))
    assert "and the trials' own held-out images" in read_verdict(file).where
    (old.folder / WINNER).write_text("of the old images")
    before = len(list(Store(tmp_path).stages.glob("*/record.json")))

    new, text = tuned()
    assert new.verdict.folds == read_verdict(file).folds == 10 and "warning" not in text
    assert not (old.folder / WINNER).exists() or "(the last of 10 folds)" in (old.folder / WINNER).read_text()
    stages = len(list(Store(tmp_path).stages.glob("*/record.json")))
    assert stages == before + len(
        confirm_plan(asked, {n.trial: n.settings for n in new.verdict.candidates}, "cpu").stages
    )

    again, text = tuned()  # resumed: nothing is done twice
    assert again.verdict == new.verdict and len(list(Store(tmp_path).stages.glob("*/record.json"))) == stages
