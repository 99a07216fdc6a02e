"""What is sent to MLflow, worked out by hand from records. No MLflow here."""

import subprocess
import sys

import pytest

from orchestrator.errors import UserError
from orchestrator.results.job_result import job_result
from orchestrator.store.failures import Failures
from orchestrator.tracking import tracking_uri
from orchestrator.tracking.delivered import Delivered, runs_id
from orchestrator.tracking.describe import TAG_LIMIT, job_params, job_tags
from orchestrator.tracking.points import finished_in_order, milliseconds, points
from orchestrator.tracking.uri import artifact_root, without_password
from tests.support.fabricated import EPOCHS, finish, record, sweep


def result_of(plan, number, stages=None):
    job = plan.jobs[number]
    keys = job.stages if stages is None else job.stages[:stages]
    return job_result(job, {key: record(plan, plan.stages[key]) for key in keys})


def table(found):
    return {(point.key, point.step): point.value for point in found}


def test_accuracies_and_forgetting_are_those_of_the_matrix():
    plan = sweep(("base",), seeds=(0,))
    result = result_of(plan, 0)
    found = table(points(plan, result, 0, len(result.job.stages)))
    # Task 1 is plain cross-entropy, 40 right of 40; then base loses 18 images of 40 with each task, down to none.
    assert [found["accuracy/task_01", t] for t in range(1, 6)] == [100.0, 55.0, 10.0, 0.0, 0.0]
    assert ("accuracy/task_02", 1) not in found
    assert found["accuracy/average", 2] == 77.5
    assert found["accuracy/average", 3] == pytest.approx((10 + 55 + 100) / 3)
    assert found["accuracy/local/task_04", 5] == found["accuracy/local/average", 5] == 95.0
    assert ("forgetting", 1) not in found
    assert found["forgetting", 2] == 45.0
    assert found["forgetting", 3] == (90 + 45) / 2
    assert found["final_accuracy", 5] == found["accuracy/average", 5] == (0 + 0 + 10 + 55 + 100) / 5
    assert found["final_forgetting", 5] == found["forgetting", 5] == (100 + 100 + 90 + 45) / 4
    averages = [found["accuracy/average", t] for t in range(1, 6)]
    assert found["average_accuracy", 5] == pytest.approx(sum(averages) / 5)


def test_curves_go_on_from_task_to_task():
    plan = sweep(("abd",), seeds=(0,))
    result = result_of(plan, 0)
    found = table(points(plan, result, 0, len(result.job.stages)))
    assert [step for key, step in sorted(found) if key == "train/loss"] == list(range(1, 5 * EPOCHS + 1))
    assert found["train/loss", EPOCHS + 1] == 1.0 and found["train/loss", EPOCHS + 2] == 0.5
    assert found["train/lr", 5 * EPOCHS] == 0.1
    # The generator trains 40 steps after each task but the last.
    assert [step for key, step in sorted(found) if key == "dream/loss"] == list(range(10, 161, 10))
    assert found["dream/ce", 50] == 0.1
    assert ("dream/step", 10) not in found


def test_what_a_stage_used_is_a_system_metric_of_its_kind_and_task():
    plan = sweep(("abd",), seeds=(0,))
    result = result_of(plan, 0)
    used = {"cpu_seconds": 3.0, "cpu_percent": 98.5, "memory_mib": 400.0}
    records = {key: {**made, "usage": used} for key, made in result.records.items()}
    found = table(points(plan, job_result(result.job, records), 0, len(result.job.stages)))
    shown = {key: value for key, value in found.items() if key[0].startswith("system/")}
    assert shown.keys() == {
        *((f"system/learn_{name}", task) for name in ("cpu_percent", "memory_mib") for task in range(1, 6)),
        *((f"system/dream_{name}", task) for name in ("cpu_percent", "memory_mib") for task in range(1, 5)),
    }
    assert shown["system/learn_cpu_percent", 5] == 98.5 and shown["system/dream_memory_mib", 4] == 400.0
    assert not [key for key, _ in table(points(plan, result, 0, 9)) if key.startswith("system/")]  # older records


def test_points_carry_the_time_of_their_record():
    plan = sweep(("abd",), seeds=(0,))
    result = result_of(plan, 0)
    for position, key in enumerate(result.job.stages):
        times = {point.time for point in points(plan, result, position, position + 1)}
        assert times == {milliseconds(result.records[key]["ended"])}


def test_stage_by_stage_gives_the_same_points_as_all_at_once():
    plan = sweep(("abd", "rehearsal", "upper-bound"), seeds=(0,), splits=((2,) * 5, (6, 2, 2)))
    for number, job in enumerate(plan.jobs):
        piecemeal = []
        for stop in range(1, len(job.stages) + 1):
            piecemeal += points(plan, result_of(plan, number, stop), stop - 1, stop)
        assert piecemeal == points(plan, result_of(plan, number), 0, len(job.stages)), job.name


def test_a_gap_holds_back_what_comes_after_it():
    plan = sweep(("base",), seeds=(0,))
    job = plan.jobs[0]
    records = {key: record(plan, plan.stages[key]) for key in (*job.stages[:2], *job.stages[3:])}
    assert finished_in_order(job_result(job, records)) == 2


def test_the_upper_bound_has_its_last_task_alone():
    plan = sweep(("upper-bound",), seeds=(0,))
    found = table(points(plan, result_of(plan, 0), 0, 1))
    assert found["accuracy/average", 5] == found["final_accuracy", 5] == 100.0
    assert not {"forgetting", "average_accuracy", "final_forgetting"} & {key for key, _ in found}


def test_unequal_tasks_give_the_image_weighted_accuracy_too():
    plan = sweep(("base",), seeds=(0,), splits=((6, 2, 2),))
    result = result_of(plan, 0)
    found = table(points(plan, result, 0, 3))
    assert found["final_accuracy", 3] == pytest.approx((10 + 55 + 100) / 3)
    assert found["final_accuracy_image_weighted", 3] == pytest.approx((240 * 10 + 80 * 55 + 80 * 100) / 400)


def test_a_job_is_told_from_others_and_described():
    plan = sweep(("base", "abd"), seeds=(0, 1))
    assert len({job.id for job in plan.jobs}) == 4
    assert plan.jobs[0].id == sweep(("abd", "base"), seeds=(1, 0)).jobs[3].id
    params = job_params(plan, plan.jobs[2])
    assert (params["mu"], params["training.milestones"], params["dreaming.steps"]) == ("0.1", "[1, 2]", "40")
    assert "dreaming.steps" not in job_params(plan, plan.jobs[0])
    tags = job_tags(plan, plan.jobs[3], "folder", "parent")
    assert (tags["method"], tags["tasks"], tags["seed"], tags["dfcil.sweep"]) == ("abd", "5", "1", "fab")
    assert tags["dfcil.stages.01"].split() == [plan.stages[key].folder for key in plan.jobs[3].stages]


def test_what_tells_a_job_from_others_comes_first_among_its_tags():
    plan = sweep(("abd",), seeds=(0,))
    assert list(job_tags(plan, plan.jobs[0], "a" * 32, "parent"))[:3] == ["label", "tasks", "seed"]


def test_no_tag_is_longer_than_mlflow_takes(monkeypatch):
    plan = sweep(("abd",), seeds=(0,), splits=((1,) * 10,))
    monkeypatch.setattr("orchestrator.tracking.describe.TAG_LIMIT", 200)
    tags = {k: v for k, v in job_tags(plan, plan.jobs[0], "", "").items() if k.startswith("dfcil.stages.")}
    assert len(tags) > 3 and all(len(tag) <= 200 < TAG_LIMIT for tag in tags.values())
    together = " ".join(tags[name] for name in sorted(tags))
    assert together.split() == [plan.stages[key].folder for key in plan.jobs[0].stages]


def test_which_tracking_store(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(tmp_path / "my runs", None) == f"sqlite:///{tmp_path}/my runs/mlflow.db"
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert tracking_uri(Path("runs"), None) == f"sqlite:///{tmp_path}/runs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(tmp_path, None) == "http://tracking:5000"
    assert tracking_uri(tmp_path, "databricks") == "databricks"
    assert artifact_root(tmp_path, "http://tracking:5000") is None
    assert artifact_root(tmp_path, "sqlite:////data/my ml.db") == "file:///data/mlartifacts"
    assert artifact_root(tmp_path / "my runs", "postgresql+psycopg2://u:p@db/ml").endswith("/my%20runs/mlartifacts")


@pytest.mark.parametrize("wrong", ["mlruns", "file:///tmp/mlruns", "htp://host"])
def test_a_wrong_tracking_store_is_the_persons_mistake(tmp_path, wrong):
    with pytest.raises(UserError, match=f"--tracking-uri: '{wrong}'.*sqlite:///"):
        tracking_uri(tmp_path, wrong)


def test_a_path_that_no_address_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match="character # of this path"):
        tracking_uri(tmp_path / "runs #2", None)


def test_no_password_is_shown_or_kept(tmp_path):
    uri = "https://ada:secret@host:5000/ml"
    assert without_password(f"cannot reach {uri}, sorry") == "cannot reach https://host:5000/ml, sorry"
    delivered = Delivered(tmp_path, "fab", uri, "fab")
    delivered.save(now=True)
    assert "secret" not in delivered.path.read_text() + str(delivered.path)
    assert Delivered(tmp_path, "fab", uri, "other").path != delivered.path


def test_what_is_remembered_survives_the_process(tmp_path):
    delivered = Delivered(tmp_path, "fab", "sqlite:///x", "fab")
    delivered.parent, delivered.jobs = "p", {"j": {"run": "r", "stages": 2, "state": "RUNNING"}}
    delivered.save(now=True)
    again = Delivered(tmp_path, "fab", "sqlite:///x", "fab")
    assert (again.parent, again.jobs) == (delivered.parent, delivered.jobs)
    Failures(tmp_path, "fab").add("j", "boom", "Traceback ...")
    assert Failures(tmp_path, "fab").jobs["j"]["error"] == "boom"
    Failures(tmp_path, "fab").mended("j")
    assert Failures(tmp_path, "fab").jobs == {}
    assert runs_id(tmp_path) == runs_id(tmp_path) != runs_id(tmp_path / "other")


def test_a_tracker_loads_mlflow_only_when_it_delivers():
    code = "import sys, orchestrator.tracking, orchestrator.tracking.ui; print('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_only_the_tracking_package_imports_mlflow():
    import ast
    from pathlib import Path

    import orchestrator

    root = Path(orchestrator.__file__).parents[1]
    importers = set()
    for folder in ("orchestrator", "dfcil_core", "reports"):
        for path in (root / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if any(name.split(".")[0] == "mlflow" for name in names):
                    importers.add(path.parent.relative_to(root).as_posix())
    assert importers == {"orchestrator/tracking"}


def test_the_fabricated_store_is_a_store(tmp_path):
    plan = sweep(("base",), seeds=(0,))
    assert set(finish(plan, tmp_path).records(plan.stages.values())) == set(plan.stages)
