"""Sweeps delivered to a real sqlite tracking store: complete, once each, and rebuildable."""

import getpass
import json
import shutil
import threading
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.plan.plan import Plan
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking import tracking_uri
from orchestrator.tracking.figures import Figures
from orchestrator.tracking.points import points
from orchestrator.tracking.writer import Writer
from reports.artifacts import FIGURES
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import jobs, stable, view
from tests.support.tracked import Tracker, sync


@pytest.fixture
def runs(tmp_path, blank, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "my runs"
    folder.mkdir()
    shutil.copy(blank, folder / "mlflow.db")
    return folder


@pytest.fixture
def uri(runs):
    return tracking_uri(runs, None)


def results_of(plan: Plan, runs) -> list:
    return job_results(plan, Store(runs).records(plan.stages.values()))


def launch(plan: Plan, runs, stages=None, state="FINISHED", figures=FIGURES) -> None:
    """A launch in which `stages` (by key) are trained one after the other, and then it ends."""
    with Tracker(plan, runs, figures=figures) as tracker:
        for key in plan.stages if stages is None else stages:
            finish(plan, runs, [key])
            found = results_of(plan, runs)
            for number in plan.users[key]:
                tracker.deliver(found[number])
        assert tracker.finish(state, results_of(plan, runs), lambda results: {"results.md": "| abd | 80 |"}) == 0


def expected_points(plan: Plan, runs) -> dict[str, list]:
    return {
        result.job.name: sorted(
            (p.key, p.step, p.value, p.time) for p in points(plan, result, 0, len(result.job.stages))
        )
        for result in results_of(plan, runs)
    }


def points_of(found: dict[str, dict]) -> dict[str, list]:
    return {name: run["points"] for name, run in found.items()}


def test_a_sweep_is_one_parent_and_a_run_a_job(runs, uri):
    plan = sweep()
    launch(plan, runs)
    everything = view(uri)
    parent, children = everything.pop("fab"), everything
    assert set(children) == {f"{m} · 5 tasks · seed {s}" for m in ("base", "abd") for s in (0, 1)}
    assert {run["state"] for run in everything.values()} == {parent["state"]} == {"FINISHED"}
    assert {run["parent"] for run in children.values()} == {parent["id"]}
    assert points_of(children) == expected_points(plan, runs)

    abd = children["abd · 5 tasks · seed 1"]
    assert abd["params"]["training.epochs"] == "3" and abd["params"]["mu"] == "0.1"
    assert abd["tags"]["dfcil.delivered"] == "9 of 9 stages"
    assert (abd["tags"]["label"], abd["tags"]["commit"], abd["tags"]["device"]) == ("abd", "c0ffee", "cpu")
    assert abd["tags"]["mlflow.loggedImages"] == "True"
    assert [name for name, _ in abd["datasets"]] == ["digits"]
    records = results_of(plan, runs)[3].records.values()
    first, last = min(r["started"] for r in records), max(r["ended"] for r in records)
    assert abd["times"] == (round(first * 1000), round(last * 1000))
    figures = {"accuracy_matrix.json", "accuracy_matrix.png", "accuracy_over_tasks.png"}
    assert figures < set(abd["artifacts"])
    for task in range(1, 5):
        images = [name for name in abd["artifacts"] if name.startswith(f"images/dreams+step+{task}+")]
        assert len(images) == 2, "an image and its thumbnail"
    assert {"spec.yaml", "comparison.png", "results.md"} <= set(parent["artifacts"])
    assert parent["tags"]["dfcil.jobs"] == "4 of 4 finished"
    assert parent["tags"]["mlflow.note.content"] == "| abd | 80 |"


def test_a_killed_launcher_leaves_runs_that_the_next_completes(runs, uri, monkeypatch):
    """Killed at every place in turn: between any two calls to MLflow."""
    plan = sweep(("abd",), seeds=(0,))
    finish(plan, runs)
    results = results_of(plan, runs)
    monkeypatch.setattr("orchestrator.tracking.writer._BATCH", 60)  # a job takes several batches

    class Killed(BaseException):
        pass

    calls = ("create_run", "log_inputs", "log_image", "log_batch", "log_artifacts", "set_terminated")
    for victim in calls:
        for after in (False, True):
            real = getattr(MlflowClient, victim)

            def die(self, *args, real=real, after=after, **kwargs):
                if after:
                    real(self, *args, **kwargs)
                raise Killed

            monkeypatch.setattr(MlflowClient, victim, die)
            with pytest.raises(Killed), Tracker(plan, runs) as tracker:
                tracker.deliver(results[0])
                tracker.finish("FINISHED", results)
            monkeypatch.setattr(MlflowClient, victim, real)
    launch(plan, runs, stages=())
    assert points_of(jobs(uri)) == expected_points(plan, runs)
    found = jobs(uri)["abd · 5 tasks · seed 0"]
    assert found["state"] == "FINISHED"
    thumbnails = [name for name in found["artifacts"] if name.endswith(".webp")]
    assert len(thumbnails) == 4


def test_a_relaunch_sends_nothing_again(runs, uri, monkeypatch):
    plan = sweep(seeds=(0,))
    launch(plan, runs)
    before = view(uri)
    sent = []
    for name in ("create_run", "log_batch", "log_image", "log_artifacts", "set_terminated", "update_run"):
        real = getattr(MlflowClient, name)

        def spy(self, run, *args, name=name, real=real, **kwargs):
            sent.append((name, run))
            return real(self, run, *args, **kwargs)

        monkeypatch.setattr(MlflowClient, name, spy)
    launch(plan, runs, stages=())
    assert sent == []
    assert stable(jobs(uri)) == stable({name: run for name, run in before.items() if name != "fab"})


def test_a_relaunch_with_nothing_new_draws_nothing_and_one_with_other_results_does(runs, uri):
    plan, drawn, threads = sweep(), [], set()

    def draw(results):
        drawn.append(len(results))
        threads.add(threading.current_thread().name)
        return {"toy.png": b"a picture"}

    toy = Figures(of_sweep=draw)
    first = list(plan.stages)[:-1]
    launch(plan, runs, first, state="FAILED", figures=toy)
    launch(plan, runs, [], state="FAILED", figures=toy)
    assert drawn == [len(plan.jobs)]
    launch(plan, runs, [key for key in plan.stages if key not in first], figures=toy)
    launch(plan, runs, [], figures=toy)
    assert len(drawn) == 2 and threads == {"mlflow"}  # training waits for no picture
    artifacts = {name for run in view(uri, "fab").values() for name in run["artifacts"]}
    assert "toy.png" in artifacts and not {"comparison.png", "accuracy_matrix.png"} & artifacts


@pytest.mark.parametrize("lost", ["file", "stale"])
def test_what_this_machine_remembers_may_be_lost_or_wrong(runs, uri, lost):
    plan = sweep(seeds=(0,))
    stages = list(plan.stages)
    launch(plan, runs, stages[:7], "KILLED")
    before = {run["id"] for run in jobs(uri).values()}
    (remembered,) = (runs / "sweeps" / "fab").glob("delivered-*.json")
    if lost == "file":
        remembered.unlink()
    else:
        # Another tracking store is where the remembered one was: none of the runs is in it.
        remembered.write_text(remembered.read_text().replace(next(iter(before)), "0" * 32))
    launch(plan, runs, stages[7:])
    assert {run["id"] for run in jobs(uri).values()} == before
    assert points_of(jobs(uri)) == expected_points(plan, runs)


def test_states_tell_how_a_job_ended(runs, uri):
    plan = sweep(seeds=(0,))
    base, abd = plan.jobs
    with pytest.raises(KeyboardInterrupt), Tracker(plan, runs) as tracker:
        finish(plan, runs, [base.stages[0]])
        for result in results_of(plan, runs):
            tracker.deliver(result)
        tracker.job_failed(abd, "RuntimeError: loss is NaN", "Traceback (most recent call last): ...")
        raise KeyboardInterrupt
    found = view(uri)
    assert {name: run["state"] for name, run in found.items()} == {
        "fab": "KILLED",
        base.name: "KILLED",
        abd.name: "FAILED",
    }
    assert found[abd.name]["tags"]["dfcil.error"] == "RuntimeError: loss is NaN"
    assert "error/traceback.txt" in found[abd.name]["artifacts"]

    # It is RUNNING again as soon as the next launch has something new of it, and as it ends it is FINISHED.
    with Tracker(plan, runs) as tracker:
        finish(plan, runs, abd.stages[:3])
        tracker.deliver(results_of(plan, runs)[1])
        wait_for(lambda: view(uri)[abd.name]["tags"]["dfcil.delivered"].startswith("3"))
        assert view(uri)[abd.name]["state"] == view(uri)["fab"]["state"] == "RUNNING"
        finish(plan, runs)
        tracker.finish("FINISHED", results_of(plan, runs))
    found = view(uri)
    assert {run["state"] for run in found.values()} == {"FINISHED"}
    assert "dfcil.error" not in found[abd.name]["tags"]
    assert len([tag for tag in MlflowClient(uri).get_run(found["fab"]["id"]).data.tags if "launch" in tag]) >= 1


@pytest.mark.parametrize("command", ["sync", "launch"])
def test_a_lost_tracking_store_is_rebuilt(runs, uri, blank, command):
    plan = sweep(("base", "abd", "upper-bound"), seeds=(0,))
    launch(plan, runs, list(plan.stages)[:-1], "KILLED")
    with Tracker(plan, runs) as tracker:
        tracker.job_failed(plan.jobs[-1], "boom", "Traceback")
        tracker.finish("FAILED", results_of(plan, runs))
    before = stable(jobs(uri))
    assert sorted(run["state"] for run in before.values()) == ["FAILED", "FINISHED", "FINISHED"]
    shutil.copy(blank, runs / "mlflow.db")
    shutil.rmtree(runs / "mlartifacts")
    if command == "sync":
        sync(plan, runs)
    else:
        launch(plan, runs, stages=(), state="FAILED")
    after = view(uri)
    assert after.pop("fab")["state"] == "FAILED"
    failed = plan.jobs[-1].name
    # The store knows when finished stages began; of a job with none only when it failed.
    assert before[failed].pop("times")[1] == after[failed].pop("times")[1]
    assert stable(after) == before


def test_sync_completes_a_partial_tracking_store(runs, uri):
    plan = sweep(seeds=(0,))
    launch(plan, runs, list(plan.stages)[:6], "KILLED")
    finish(plan, runs)
    client = MlflowClient(uri)
    client.delete_run(jobs(uri)["base · 5 tasks · seed 0"]["id"])
    abd = client.get_run(jobs(uri)["abd · 5 tasks · seed 0"]["id"])
    twin = {**abd.data.tags, "dfcil.delivered": "0 of 9 stages", "mlflow.runName": "made twice"}
    client.create_run(abd.info.experiment_id, 0, twin, "made twice")
    sync(plan, runs)
    assert jobs(uri)["abd · 5 tasks · seed 0"]["id"] == abd.info.run_id
    assert "made twice" not in jobs(uri)
    assert points_of(jobs(uri)) == expected_points(plan, runs)
    assert {run["state"] for run in view(uri).values()} == {"FINISHED"}
    once = view(uri)
    sync(plan, runs)
    assert view(uri) == once


def test_a_lost_answer_makes_no_second_run(runs, uri, monkeypatch):
    """`create_run` arrives and its answer does not: the run is found again by its tags."""
    plan = sweep(("base",), seeds=(0,))
    finish(plan, runs)
    real, lost = MlflowClient.create_run, {}

    def lose(self, experiment, start, tags, name):
        run = real(self, experiment, start, tags, name)
        if name not in lost:
            lost[name] = run.info.run_id
            raise ConnectionError("the answer is lost")
        return run

    monkeypatch.setattr(MlflowClient, "create_run", lose)
    warnings = []
    with Tracker(plan, runs, warn=warnings.append, retry_every=0.1) as tracker:
        tracker.deliver(results_of(plan, runs)[0])
        wait_for(lambda: len(lost) == 2)
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 0
    assert len(warnings) == 1 and "training goes on" in warnings[0]
    assert {name: run["id"] for name, run in view(uri).items()} == lost
    assert points_of(jobs(uri)) == expected_points(plan, runs)


def test_a_run_deleted_during_a_launch_is_made_anew(runs, uri):
    plan = sweep(("base",), seeds=(0,))
    (job,) = plan.jobs
    with Tracker(plan, runs, warn=lambda text: None, retry_every=0.1) as tracker:
        finish(plan, runs, job.stages[:2])
        tracker.deliver(results_of(plan, runs)[0])
        wait_for(lambda: jobs(uri).get(job.name, {"tags": {}})["tags"].get("dfcil.delivered") == "2 of 5 stages")
        deleted = jobs(uri)[job.name]["id"]
        MlflowClient(uri).delete_run(deleted)
        finish(plan, runs)
        tracker.deliver(results_of(plan, runs)[0])
        wait_for(lambda: jobs(uri))
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 0
    assert jobs(uri)[job.name]["id"] != deleted
    assert points_of(jobs(uri)) == expected_points(plan, runs)


def test_runs_of_jobs_that_an_edited_spec_has_no_more_are_marked(runs, uri):
    full, less = sweep(("base", "abd"), seeds=(0,)), sweep(("abd",), seeds=(0,))
    base = full.jobs[0]
    launch(full, runs, base.stages[:2], "KILLED")
    with Tracker(full, runs) as tracker:  # killed by the power going: nothing ended its runs
        finish(full, runs, base.stages[:3])
        tracker.deliver(results_of(full, runs)[0])
        wait_for(lambda: view(uri)[base.name]["tags"]["dfcil.delivered"].startswith("3"))
        tracker._ending = ("KILLED", [], {})
        tracker._end = lambda writer: None
        with tracker._changed:
            tracker._changed.notify()
        tracker._thread.join()
    assert view(uri)[base.name]["state"] == "RUNNING"

    launch(less, runs)
    found = jobs(uri)
    assert {name: (run["tags"]["dfcil.in_spec"], run["state"]) for name, run in found.items()} == {
        base.name: ("no", "KILLED"),
        less.jobs[0].name: ("yes", "FINISHED"),
    }
    sync(full, runs)
    assert {run["tags"]["dfcil.in_spec"] for run in jobs(uri).values()} == {"yes"}
    sync(less, runs)
    assert jobs(uri)[base.name]["tags"]["dfcil.in_spec"] == "no"


def test_the_parent_run_has_the_plan_and_who_launched_it(runs, uri, tmp_path):
    plan = sweep(("abd",), seeds=(0,))
    launch(plan, runs)
    parent = view(uri)["fab"]
    kept = json.loads(Path(MlflowClient(uri).download_artifacts(parent["id"], "plan.json", str(tmp_path))).read_text())
    (job,) = plan.jobs
    (told,) = kept["jobs"]
    named = {"name": job.name, "slug": job.slug, "label": "abd", "tasks": "5", "seed": 0, "fold": None}
    assert told == {**named, "id": told["id"], "stages": list(kept["stages"])}
    dream = kept["stages"][plan.stages[job.stages[3]].folder]
    assert (dream["kind"], dream["task"], dream["jobs"]) == ("dream", 2, 1)
    assert set(dream["parents"]) == {"model", "generator"} and set(dream["parents"].values()) < set(kept["stages"])
    assert {run["tags"]["mlflow.user"] for run in view(uri).values()} == {getpass.getuser()}


def test_two_runs_folders_do_not_mix(runs, uri, tmp_path):
    plan = sweep(("base",), seeds=(0,))
    other = tmp_path / "other"
    finish(plan, runs)
    finish(plan, other)
    sync(plan, runs)
    sync(plan, other, uri)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("fab").experiment_id
    assert len(client.search_runs([experiment])) == 4  # a parent and a job each


def test_one_writer_at_a_time(runs, uri):
    plan = sweep(("base",), seeds=(0,))
    finish(plan, runs)
    warnings = []
    first = Writer(plan, runs, uri, "fab", Tracker(plan, runs).failures)
    opened, done = threading.Event(), threading.Event()

    def hold():
        first.open()
        opened.set()
        done.wait()
        first.release()

    holder = threading.Thread(target=hold)
    holder.start()
    opened.wait()
    with Tracker(plan, runs, warn=warnings.append) as tracker:
        assert tracker.finish("FINISHED", results_of(plan, runs)) == 1
    done.set()
    holder.join()
    assert "another process is delivering this sweep" in warnings[0]
    assert "dfcil-sweep sync fab" in warnings[1]
    assert sync(plan, runs) == 1
    assert points_of(jobs(uri)) == expected_points(plan, runs)


def test_a_bug_of_ours_is_not_taken_for_a_tracking_store_that_is_down(runs, uri, monkeypatch):
    plan = sweep(("base",), seeds=(0,))
    finish(plan, runs)
    monkeypatch.setattr(Writer, "deliver", lambda *_: {}["missing"])
    with Tracker(plan, runs) as tracker, pytest.raises(KeyError, match="missing"):
        tracker.finish("FINISHED", results_of(plan, runs))


def wait_for(true, seconds: float = 20.0) -> None:
    import time

    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
