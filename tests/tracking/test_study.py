"""A search in a real tracking store: a run for the study, and nested under it a run for each trial."""

from dataclasses import replace

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.tracking.study import Ending, StudyTracker, TrialView
from tests.support.mlflow_views import view

DONE = TrialView(
    number=0,
    state="COMPLETE",
    published=True,
    settings={"mu": 0.1},
    objective="final_accuracy",
    steps={1: 99.0, 2: 70.0},
    values={"final_accuracy": 70.0},
    begun=1_700_000_000.0,
    ended=1_700_000_060.0,
)
PRUNED = replace(DONE, number=1, state="PRUNED", published=False, settings={"mu": 0.5}, steps={1: 98.0}, values={})
BROKEN = replace(PRUNED, number=2, state="FAIL", steps={}, error="ValueError: diverged")


def track(runs, views, state) -> dict[str, dict]:
    uri = f"sqlite:///{runs}/mlflow.db"
    warnings = []
    tracker = StudyTracker("fab", "fab-abd", "name: fab\n", runs, uri, warnings.append)
    tracker.start()
    for trial in views:
        tracker.deliver(trial)
    tracker.finish(views, Ending(state, {"best.trial": "0", "best.mu": 0.1}, {"trials": str(len(views))}))
    assert warnings == []
    return view(uri)


@pytest.mark.long
def test_trials_are_nested_under_their_study_and_sent_once(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    MlflowClient(tracking_uri=uri).search_experiments()
    track(tmp_path, [replace(DONE, state="RUNNING", values={}, ended=None)], "KILLED")
    track(tmp_path, [DONE, PRUNED], "KILLED")
    found = track(tmp_path, [DONE, PRUNED, BROKEN], "FINISHED")
    parent = found.pop("tune fab-abd")
    assert {name: (run["parent"], run["state"]) for name, run in found.items()} == {
        "trial 0": (parent["id"], "FINISHED"),
        "trial 1": (parent["id"], "KILLED"),
        "trial 2": (parent["id"], "FAILED"),
    }
    assert parent["state"] == "FINISHED" and parent["params"] == {"best.trial": "0", "best.mu": "0.1"}
    assert [point[:3] for point in found["trial 0"]["points"]] == [
        ("final_accuracy", 0, 70.0),
        ("final_accuracy/by_step", 1, 99.0),
        ("final_accuracy/by_step", 2, 70.0),
    ]
    assert found["trial 0"]["tags"]["published"] == "yes" and found["trial 0"]["params"] == {"mu": "0.1"}
    assert found["trial 2"]["tags"]["error"] == "ValueError: diverged"
