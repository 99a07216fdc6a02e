"""Real launches: killed in mid-sweep and launched again; the tracking store lost and rebuilt; live while training."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from tests.support.mlflow_views import jobs, stable, view
from tests.support.processes import wait_until

COMMAND = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
SPEC = """\
name: killed
dataset: {name: digits, image_size: 8}
methods: [base, lwf, abd]
tasks: [5]
seeds: [0]
training: {backbone: resnet8, epochs: 3}
dreaming: {steps: 30}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "runs").mkdir()
    MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").search_experiments()
    return tmp_path


def start(folder: Path, *words: str) -> subprocess.Popen:
    log = (folder / "log").open("a")
    command = [*COMMAND, *words, "--runs", str(folder / "runs")]
    return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(folder: Path, *words: str) -> None:
    assert start(folder, *words).wait(timeout=300) == 0, (folder / "log").read_text()


def tracked(uri: str) -> dict[str, dict]:
    """The jobs' runs, none while there is no experiment yet."""
    try:
        return jobs(uri, "killed")
    except (AttributeError, MlflowException):
        return {}


@pytest.mark.long
def test_killed_and_launched_again_then_lost_and_rebuilt(folder):
    # A real sweep of 17 stages: three launches and a `sync`, of which each loads torch and mlflow anew.
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    for delivered in (2, 6):
        launcher = start(folder, "launch", "spec.yaml")

        def enough(launcher=launcher, delivered=delivered) -> bool:
            assert launcher.poll() is None, (folder / "log").read_text()
            done = [int(run["tags"]["dfcil.delivered"].split()[0]) for run in tracked(uri).values()]
            return sum(done) >= delivered

        wait_until(enough, 180, f"{delivered} stages in MLflow")
        launcher.send_signal(signal.SIGKILL)
        launcher.wait()
        assert {run["state"] for run in tracked(uri).values()} & {"RUNNING"}, "nothing was under way when it was killed"
    finish(folder, "launch", "spec.yaml")

    found = view(uri, "killed")  # which fails for two runs of one name
    assert set(found) == {"killed", *(f"{method} · 5 tasks · seed 0" for method in ("base", "lwf", "abd"))}
    assert {run["state"] for run in found.values()} == {"FINISHED"}
    for name, run in jobs(uri, "killed").items():
        points = Counter((key, step) for key, step, _, _ in run["points"])
        assert set(points.values()) == {1}, f"{name}: a point twice"
        assert sum(key == "accuracy/average" for key, _ in points) == 5
        assert sum(key == "train/loss" for key, _ in points) == 5 * 3
        assert len(run["datasets"]) == 1

    before = stable(jobs(uri, "killed"))
    for path in (folder / "runs").glob("mlflow.db*"):
        path.unlink()
    (folder / "runs" / "mlartifacts").rename(folder / "lost")
    finish(folder, "sync", "killed")
    # Copied, because this process still has the deleted file open under its old address.
    rebuilt = f"sqlite:///{shutil.copy(folder / 'runs' / 'mlflow.db', folder / 'rebuilt.db')}"
    parent = view(rebuilt, "killed")["killed"]
    assert {"results.md", "results.csv", "spec.yaml", "plan.json", "comparison.png"} <= set(parent["artifacts"])
    assert stable(jobs(rebuilt, "killed")) == before


@pytest.mark.long
def test_an_accuracy_is_in_mlflow_within_ten_seconds_while_its_job_runs(folder):
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    seen: dict[tuple, tuple[float, str]] = {}
    launched = threading.Event()

    def watch() -> None:
        client = MlflowClient(uri)
        while not launched.is_set():
            now = time.time()
            experiment = client.get_experiment_by_name("killed")
            for run in client.search_runs([experiment.experiment_id]) if experiment else ():
                if "accuracy/average" not in run.data.metrics:
                    continue
                for point in client.get_metric_history(run.info.run_id, "accuracy/average"):
                    seen.setdefault((run.info.run_name, point.step), (now - point.timestamp / 1000, run.info.status))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        finish(folder, "launch", "spec.yaml")
    finally:
        launched.set()
        watcher.join()
    assert len(seen) >= 12, seen  # of 15: those of the very end may come with the end
    assert max(delay for delay, _ in seen.values()) < 10
    early = {state for (_, step), (_, state) in seen.items() if step < 5}
    assert early == {"RUNNING"}
