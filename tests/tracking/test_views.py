"""The saved views of MLflow's UI: what they show, and that they are written once."""

import json
import shutil
from urllib.parse import parse_qs, urlsplit

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.tracking import tracking_uri, views
from orchestrator.tracking.ui import ui_pages
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import saved_views
from tests.support.tracked import sync

TAG = "mlflow.sharedViewState.dfcil-fab-methods"


@pytest.fixture
def uri(tmp_path, blank, monkeypatch):
    """A tracking store with a sweep of two methods, two splits and two seeds."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(blank, tmp_path / "mlflow.db")
    plan = sweep(("base", "abd"), seeds=(0, 1), splits=((5, 5), (6, 4)))
    finish(plan, tmp_path)
    sync(plan, tmp_path)
    return tracking_uri(tmp_path, None)


def asked(page) -> dict[str, str]:
    """What the address of a page says to the UI."""
    return {name: value for name, (value,) in parse_qs(urlsplit(urlsplit(page.address).fragment).query).items()}


def test_a_sweep_opens_on_the_means_over_seeds_and_never_over_splits(uri):
    pages = ui_pages(uri, 5000, "fab")
    assert asked(pages[0]) == {"workflowType": "machine_learning", "viewStateShareKey": "dfcil-fab-methods"}
    assert [(page.title, asked(page)["viewStateShareKey"], "compareRunsMode" in asked(page)) for page in pages] == [
        ("by method and split", "dfcil-fab-methods", False),
        ("their curves", "dfcil-fab-methods", True),
        ("each seed", "dfcil-fab-seeds", False),
        ("dreams", "dfcil-fab-dreams", True),
    ]
    shown = saved_views(uri)["dfcil-fab-methods"]
    assert shown["groupBy"] == {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": "label"}, {"mode": "tag", "groupByData": "tasks"}],
    }
    assert (shown["orderByKey"], shown["orderByAsc"]) == ("metrics.`final_accuracy`", False)
    assert shown["selectedColumns"][:2] == ["metrics.`final_accuracy`", "metrics.`average_accuracy`"]
    closed = {f"tag.label.{label},tag.tasks.{tasks}" for label in ("base", "abd") for tasks in ("2", "6+2")}
    assert shown["groupsExpanded"] == dict.fromkeys(closed, False)


def test_what_a_view_filters_by_finds_its_runs(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab").experiment_id
    found = {
        key: len(client.search_runs([experiment], shown["searchFilter"])) for key, shown in saved_views(uri).items()
    }
    assert found == {"dfcil-fab-methods": 8, "dfcil-fab-seeds": 8, "dfcil-fab-dreams": 4}  # base does not dream


def test_views_are_written_once_and_made_again_where_they_are_lost_or_broken(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab")
    before = dict(experiment.tags)
    shown = views.sweep_views("fab", "fab", [("base", "2"), ("base", "6+2"), ("abd", "2"), ("abd", "6+2")])
    views.write(client, experiment.experiment_id, shown.all)
    assert client.get_experiment_by_name("fab").tags == before
    client.set_experiment_tag(experiment.experiment_id, TAG, "{}")
    assert len(ui_pages(uri, 5000, "fab")) == 4
    again = client.get_experiment_by_name("fab").tags
    assert json.loads(again[TAG])["name"] == "By method and split" and again.keys() == before.keys()


def test_a_ui_that_does_not_know_them_shows_the_jobs_the_best_first(uri, monkeypatch):
    monkeypatch.setattr("mlflow.__version__", "3.16.1")
    (page,) = ui_pages(uri, 5000, "fab")
    assert asked(page) == {
        "workflowType": "machine_learning",
        "searchFilter": saved_views(uri)["dfcil-fab-methods"]["searchFilter"],
        "orderByKey": "metrics.`final_accuracy`",
        "orderByAsc": "false",
    }


def test_hundreds_of_groups_fit_into_a_tag(uri):
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab").experiment_id
    groups = [(f"a method with settings {number * 7919 % 10007}", str(number)) for number in range(2000)]
    views.write(client, experiment, views.sweep_views("fab", "fab", groups).all)
    assert "groupsExpanded" not in saved_views(uri)["dfcil-fab-methods"]


@pytest.mark.parametrize(("objective", "ascending"), [("final_accuracy", False), ("forgetting", True)])
def test_trials_come_the_best_first(objective, ascending):
    shown = views.study_view("fab", [objective], ["mu"]).state
    assert (shown["orderByKey"], shown["orderByAsc"]) == (f"metrics.`{objective}`", ascending)
