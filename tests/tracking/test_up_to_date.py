"""Whether there is anything to tell a tracking store, found out without mlflow: only where that is plain."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking import Tracker, tracking_uri
from orchestrator.tracking.up_to_date import Remembered
from tests.support.fabricated import finish, sweep

PLAN = sweep(("base", "abd"), seeds=(0,))


def texts(results):
    return {"results.md": "the table"}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory, blank):
    """A runs folder with a finished sweep that its sqlite file has."""
    runs = tmp_path_factory.mktemp("delivered") / "runs"
    runs.mkdir()
    shutil.copy(blank, runs / "mlflow.db")
    finish(PLAN, runs)
    with Tracker(PLAN, runs, tracking_uri(runs, None)) as tracker:
        assert tracker.finish("FINISHED", results_of(runs), texts) == 0
    return runs


@pytest.fixture
def runs(delivered, monkeypatch):
    """That folder, at its place; what the test does to it is undone."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    kept = delivered.with_name("kept")
    shutil.copytree(delivered, kept)
    yield delivered
    shutil.rmtree(delivered)
    kept.rename(delivered)


def results_of(runs):
    return job_results(PLAN, Store(runs).records(PLAN.stages.values()))


def up_to_date(runs, experiment="fab", with_models=False):
    remembered = Remembered(PLAN, runs, tracking_uri(runs, None), experiment)
    return remembered.all_finished(results_of(runs), with_texts=True, with_models=with_models)


def sql(statement):
    def change(runs):
        with sqlite3.connect(runs / "mlflow.db") as connection:
            connection.execute(statement)
        connection.close()

    return change


def memory(change):
    def changed(runs):
        (path,) = (runs / "sweeps" / "fab").glob("delivered-*.json")
        told = json.loads(path.read_text())
        change(told, next(iter(told["jobs"].values())))
        path.write_text(json.dumps(told))

    return changed


DISTURBED = {
    "the run was deleted": sql("update runs set lifecycle_stage = 'deleted' where name = 'fab'"),
    "the run did not end": sql("update runs set status = 'RUNNING' where name = 'fab'"),
    "the run failed": sql("update runs set status = 'FAILED' where name = 'fab'"),
    "the experiment was deleted": sql("update experiments set lifecycle_stage = 'deleted' where name = 'fab'"),
    "the experiment has another name": sql("update experiments set name = 'other' where name = 'fab'"),
    "the run is of another folder": sql("update tags set value = '0' where key = 'dfcil.runs'"),
    "another folder's artifacts": sql("update experiments set artifact_location = 'file:///gone/mlartifacts'"),
    "no file": lambda runs: (runs / "mlflow.db").unlink(),
    "no sqlite file": lambda runs: (runs / "mlflow.db").write_text("nonsense"),
    "no name of the folder": lambda runs: (runs / "id").unlink(),
    "a stage is lacking": lambda runs: shutil.rmtree(Store(runs).folder(next(iter(PLAN.stages.values())))),
    "nothing remembered": memory(lambda told, job: told.update(jobs={})),
    "a stage not delivered": memory(lambda told, job: job.update(stages=job["stages"] - 1)),
    "a run not ended": memory(lambda told, job: job.update(state="RUNNING")),
    "a job not marked as dropped": memory(lambda told, job: told["jobs"].update(dropped=job)),
    "other tables": memory(lambda told, job: told.update(shown="0")),
}


@pytest.mark.parametrize("what", DISTURBED)
def test_what_is_not_plainly_so_is_not(runs, what):
    assert up_to_date(runs)
    DISTURBED[what](runs)
    assert not up_to_date(runs)


def test_models_and_other_experiments_are_still_to_be_sent(runs):
    assert not up_to_date(runs, with_models=True) and not up_to_date(runs, experiment="other")


def test_a_launch_with_nothing_new_loads_no_mlflow(runs):
    program = f"""
import sys
from pathlib import Path
from tests.tracking.test_up_to_date import PLAN, Tracker, results_of, texts
runs = Path({str(runs)!r})
with Tracker(PLAN, runs) as tracker:
    for result in results_of(runs):
        tracker.deliver(result)
    assert tracker.finish("FINISHED", results_of(runs), texts) == 0
assert "mlflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
