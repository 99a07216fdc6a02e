"""Which experiment a sweep's runs are in, and what a launch asks of the tracking store."""

import re
import shutil

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.errors import UserError
from orchestrator.results.job_result import job_results
from orchestrator.store import sweep_folder
from orchestrator.store.store import Store
from orchestrator.tracking import tracking_uri
from orchestrator.tracking.delivered import experiment_name
from orchestrator.tracking.links import links
from orchestrator.tracking.ui import ui_pages
from orchestrator.tracking.writer import Writer
from reports.sources.mlflow import read_sweep
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import jobs, saved_views, view
from tests.support.tracked import Tracker, sync


@pytest.fixture
def runs(tmp_path, blank, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(blank, tmp_path / "mlflow.db")
    return tmp_path


def results_of(plan, runs) -> list:
    return job_results(plan, Store(runs).records(plan.stages.values()))


def test_an_experiment_that_was_named_once_is_found_again(runs, monkeypatch):
    plan, uri = sweep(("abd",), seeds=(0,), splits=((5, 5),)), tracking_uri(runs, None)
    finish(plan, runs)
    sync(plan, runs, experiment="forgetting")
    assert set(jobs(uri, "forgetting")) == {plan.jobs[0].name}
    sync(plan, runs)
    assert MlflowClient(uri).get_experiment_by_name("fab") is None, "the sweep is there twice"
    assert experiment_name(runs, "fab", None) == "forgetting"
    address = links(runs, "fab", uri)(read_sweep(uri, "fab").jobs[0].id)
    assert address and jobs(uri, "forgetting")[plan.jobs[0].name]["id"] in address
    # Elsewhere nobody remembers it: the sweep's own runs tell.
    assert read_sweep(uri, "fab").jobs[0].matrix == results_of(plan, runs)[0].matrix
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    assert experiment_name(runs, "fab", None) == "from the environment"
    assert experiment_name(runs, "fab", "given") == "given"


def test_two_sweeps_in_one_experiment_keep_their_own_runs(runs):
    uri = tracking_uri(runs, None)
    plans = [sweep(("base",), seeds=(0,), splits=((5, 5),), name=name) for name in ("one", "two")]
    for plan in plans:  # the same job of the same stages, asked for by two sweeps
        finish(plan, runs)
        sync(plan, runs, experiment="shared")
    client = MlflowClient(uri)
    (experiment,) = [entry.experiment_id for entry in client.search_experiments() if entry.name == "shared"]
    found = client.search_runs([experiment], "tags.`dfcil.kind` = 'job'")
    assert sorted(run.data.tags["dfcil.sweep"] for run in found) == ["one", "two"]
    assert {run.info.status for run in found} == {"FINISHED"}
    for name in ("one", "two"):
        address = ui_pages(uri, 5000, name, "shared")[0].address
        assert f"/#/experiments/{experiment}/runs?" in address and address.endswith(f"=dfcil-{name}-methods")
        shown = saved_views(uri, "shared")[f"dfcil-{name}-methods"]
        assert f'tags.`dfcil.sweep` = "{name}"' in shown["searchFilter"] and shown["name"].startswith(f"{name}: ")
        assert len(read_sweep(uri, name, experiment="shared").jobs) == 1


def test_the_command_line_takes_an_experiment(runs, monkeypatch, capsys):
    from orchestrator.cli import cli

    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    text = "name: fab\ndataset: {name: digits, image_size: 8}\nmethods: [base]\ntasks: [2]\nseeds: [0]\n"
    (runs / "fab.yaml").write_text(text)
    finish(plan, runs)
    sweep_folder.save(runs, plan)
    cli.main(["sync", str(runs / "fab.yaml"), "--runs", str(runs), "--experiment", "mine"], standalone_mode=False)
    assert "jobs are in the tracking store" in capsys.readouterr().out
    assert MlflowClient(tracking_uri(runs, None)).get_experiment_by_name("mine") is not None


def test_a_job_costs_a_call_a_task_a_call_a_picture_and_a_handful(runs, monkeypatch):
    plan = sweep(("abd",), seeds=(0,), splits=((1,) * 10,))
    (job,) = plan.jobs
    called, inside = [], []
    for name in [
        name for name in dir(MlflowClient) if re.match("log_|set_|create_run|update|get|search|list|del", name)
    ]:
        real = getattr(MlflowClient, name)

        def spy(*args, name=name, real=real, **kwargs):
            if not inside:  # what a call calls itself is its own affair
                called.append(name)
            inside.append(name)
            try:
                return real(*args, **kwargs)
            finally:
                inside.pop()

        monkeypatch.setattr(MlflowClient, name, spy)
    tracker = Tracker(plan, runs)
    writer = Writer(plan, runs, tracker.uri, "fab", tracker.failures)
    writer.open()
    called.clear()
    for key in job.stages:
        finish(plan, runs, [key])
        writer.deliver(results_of(plan, runs)[0])
    sent = [name for name in called if name not in ("log_image", "list_artifacts")]
    assert called.count("log_image") == 9 and called.count("list_artifacts") <= 9
    points = len(view(tracker.uri)[job.name]["points"])
    assert len(sent) <= points / 1000 + 10 + 5, sent
    writer.release()


def test_dreams_that_took_long_do_not_wait_for_the_next_accuracy(runs):
    plan = sweep(("abd",), seeds=(0,), splits=((5, 5),))
    (job,) = plan.jobs
    finish(plan, runs, job.stages[:2])
    (result,) = results_of(plan, runs)
    tracker = Tracker(plan, runs)
    writer = Writer(plan, runs, tracker.uri, "fab", tracker.failures)
    writer.open()
    writer.deliver(result)
    assert view(tracker.uri)[job.name]["tags"]["dfcil.delivered"] == "1 of 3 stages"
    result.records[job.stages[1]]["seconds"] = 31.0
    writer.deliver(result)
    assert view(tracker.uri)[job.name]["tags"]["dfcil.delivered"] == "2 of 3 stages"
    writer.release()


def test_a_memory_that_is_all_wrong_costs_no_job(runs, monkeypatch):
    """Ended before the thread looked at anything: the end itself finds out that every run remembered is gone."""
    plan, uri = sweep(("base", "abd"), seeds=(0, 1), splits=((5, 5),)), tracking_uri(runs, None)
    finish(plan, runs, [job.stages[0] for job in plan.jobs])
    sync(plan, runs)
    for run in jobs(uri).values():
        MlflowClient(uri).delete_run(run["id"])
    finish(plan, runs)

    def late(self, writer):
        with self._changed:
            self._changed.wait_for(lambda: self._ending)

    monkeypatch.setattr(Tracker, "_live", late)
    warnings = []
    with Tracker(plan, runs, warn=warnings.append) as tracker:
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 0
    assert {run["state"] for run in jobs(uri).values()} == {"FINISHED"} and len(jobs(uri)) == 4


def test_an_experiment_restored_from_the_trash_is_looked_at_anew(runs):
    plan, uri = sweep(("base", "abd"), seeds=(0,), splits=((5, 5),)), tracking_uri(runs, None)
    finish(plan, runs)
    sync(plan, runs)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab").experiment_id
    # What this machine remembers is not so any more: a run was thrown away, and then all of them.
    lost = jobs(uri)[plan.jobs[0].name]["id"]
    client.set_tag(lost, "dfcil.delivered", "0 of 2 stages")
    client.delete_experiment(experiment)
    with Tracker(plan, runs) as tracker:
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 0
    found = jobs(uri)
    assert len(found) == 2 and {run["state"] for run in found.values()} == {"FINISHED"}
    assert found[plan.jobs[0].name]["tags"]["dfcil.delivered"] == f"{len(plan.jobs[0].stages)} of 2 stages"


def test_a_run_that_went_to_the_trash_with_its_experiment_is_made_once(runs):
    plan, uri = sweep(("base",), seeds=(0,), splits=((5, 5),)), tracking_uri(runs, None)
    finish(plan, runs)
    sync(plan, runs)
    client = MlflowClient(uri)
    client.delete_run(jobs(uri)[plan.jobs[0].name]["id"])
    sync(plan, runs)  # made anew
    client.delete_experiment(client.get_experiment_by_name("fab").experiment_id)
    with Tracker(plan, runs) as tracker:  # both are restored; one is kept
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 0
    assert len(jobs(uri)) == 1 and jobs(uri)[plan.jobs[0].name]["state"] == "FINISHED"


def test_a_report_on_an_experiment_in_the_trash_says_so(runs):
    plan, uri = sweep(("base",), seeds=(0,), splits=((5, 5),)), tracking_uri(runs, None)
    finish(plan, runs)
    sync(plan, runs)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab").experiment_id
    client.delete_experiment(experiment)
    with pytest.raises(UserError, match=f"in the trash of .*restore --experiment-id {experiment}"):
        read_sweep(uri, "fab")
    assert ui_pages(uri, 5000, "fab")[0].address.endswith("/#/experiments")
    client.restore_experiment(experiment)
    assert len(read_sweep(uri, "fab").jobs) == 1
