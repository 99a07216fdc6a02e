"""A search in a real MLflow store: the study's run, a run for each trial below it, plots, and the best settings."""

import os
import signal

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.signals import terminable
from orchestrator.tracking import tracking_uri
from orchestrator.tracking.study import StudyTracker
from orchestrator.tracking.ui import ui_pages
from orchestrator.tuning import study
from orchestrator.tuning.session import Session, TuningOptions
from orchestrator.tuning.study import COMPLETE, PRUNED, Study
from tests.support.fake_tuning import options, read
from tests.support.mlflow_views import saved_views, view


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tracking_uri(tmp_path, None)


def run(asked, runs):
    lines = []
    assert Session(asked, TuningOptions(runs, options()), lines.append).run().failed is False
    assert not [line for line in lines if line.startswith("warning")]
    return Study(asked, study.open_storage(runs, None), "cpu")


def parted(found):
    (parent,) = [name for name in found if name.startswith("tune ")]
    return found[parent], {name: one for name, one in found.items() if name != parent}


@pytest.mark.long
def test_each_trial_is_a_run_below_the_studys(tmp_path, uri):
    asked = read("trials: 8\nsampler: random\nconfirm: {top: 2, seeds: [7, 8]}")
    known = run(asked, tmp_path)
    parent, children = parted(view(uri, "fake"))
    assert set(children) == {f"trial {number}" for number in range(8)}
    states = {COMPLETE: "FINISHED", PRUNED: "KILLED"}
    for trial in known.trials():
        one = children[f"trial {trial.number}"]
        assert (one["parent"], one["state"]) == (parent["id"], states[trial.state])
        assert one["params"] == {path: str(value) for path, value in trial.params.items()}
        steps = {step: value for key, step, value, _ in one["points"] if key == "final_accuracy/by_step"}
        assert steps == trial.intermediate_values
        total = [value for key, _, value, _ in one["points"] if key == "final_accuracy"]
        assert total == (trial.values if trial.state == COMPLETE else [])
    assert children["trial 0"]["tags"]["published"] == "yes"
    (page,) = ui_pages(uri, 5000, "fake")
    shown = saved_views(uri, "fake")[page.address.rpartition("viewStateShareKey=")[2]]
    assert shown["searchFilter"] == 'tags.`dfcil.kind` = "trial"'
    assert shown["selectedColumns"][:3] == ["metrics.`final_accuracy`", "params.`dreaming.lr`", "params.`mu`"]
    assert parent["state"] == "FINISHED" and parent["params"]["best.confirmed"] == "yes"
    assert {"best.trial", "best.mu", "best.dreaming.lr"} <= parent["params"].keys()
    plots = {
        f"plots/{name}.{kind}"
        for name in ("history", "importance", "slice", "parallel-coordinates")
        for kind in ("html", "png")
    }
    assert plots | {"spec.yaml", "confirmation.json"} <= set(parent["artifacts"])


@pytest.mark.long
def test_what_is_sent_again_adds_nothing_and_more_trials_are_added(tmp_path, uri):
    run(read("trials: 3\nconfirm: {top: 0}", **{"seeds: [0, 1, 2]": "seeds: [0]"}), tmp_path)
    before = view(uri, "fake")
    run(read("trials: 3\nconfirm: {top: 0}", **{"seeds: [0, 1, 2]": "seeds: [0]"}), tmp_path)
    parent, children = parted(view(uri, "fake"))
    old, old_children = parted(before)
    assert children == old_children and {**parent, "times": None} == {**old, "times": None}
    run(read("trials: 5\nconfirm: {top: 0}", **{"seeds: [0, 1, 2]": "seeds: [0]"}), tmp_path)
    longer = view(uri, "fake")
    assert len(longer) == 6 and {name: longer[name] for name in children} == children


@pytest.mark.long
def test_two_objectives_have_a_picture_of_their_front(tmp_path, uri):
    asked = read(
        "trials: 5\nobjective: [final_accuracy, forgetting]\nconfirm: {top: 0}", **{"seeds: [0, 1, 2]": "seeds: [0]"}
    )
    run(asked, tmp_path)
    parent, children = parted(view(uri, "fake"))
    assert {"plots/pareto-front.html", "plots/pareto-front.png"} <= set(parent["artifacts"])
    for one in children.values():
        assert {"final_accuracy", "forgetting"} <= {key for key, *_ in one["points"]}
    experiment = MlflowClient(uri).get_experiment_by_name("fake")
    assert experiment.artifact_location.endswith("mlartifacts") or "mlartifacts" in experiment.artifact_location


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_cut_the_end_short(tmp_path, uri, monkeypatch, number):
    whole = StudyTracker.finish

    def interrupted(tracker, views, ending):
        os.kill(os.getpid(), number)
        whole(tracker, views, ending)

    def stopped(*_):
        raise KeyboardInterrupt("the first")

    monkeypatch.setattr(StudyTracker, "finish", interrupted)
    monkeypatch.setattr(Session, "_work", stopped)
    with pytest.raises(KeyboardInterrupt), terminable():
        Session(read("trials: 1"), TuningOptions(tmp_path, options()), print).run()
    parent, _ = parted(view(uri, "fake"))
    assert parent["state"] == "KILLED"
