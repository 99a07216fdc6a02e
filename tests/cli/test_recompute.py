"""`launch --recompute`: what is the same, what is not, and a kill in the middle."""

import json
import shutil
import signal
import subprocess

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.store.recomputing import FILE
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import load
from tests.support.launched import STAGES, command, dfcil, environment
from tests.support.processes import wait_until

pytestmark = pytest.mark.long  # launches, each a process that loads torch and mlflow anew


@pytest.fixture
def runs(tiny, tmp_path):
    return shutil.copytree(tiny.runs, tmp_path / "runs")


def launch(tiny, runs, *words):
    place = ("--runs", runs, "--jobs", 1, "--device", "cpu", "--recompute")
    answer = dfcil("launch", tiny.spec, *place, *words, folder=runs.parent)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout + answer.stderr


def contents(runs):
    return {path: path.read_bytes() for path in sorted((runs / "stages").rglob("*")) if path.is_file()}


def test_what_is_the_same_to_the_last_bit_stays(tiny, runs):
    before = contents(runs)
    told = launch(tiny, runs)
    assert f"computed again: {STAGES} stages as before to the last bit, 0 not" in told
    assert {path: content for path, content in contents(runs).items() if ".lock" not in path.name} == {
        path: content for path, content in before.items() if ".lock" not in path.name
    }


def test_what_differs_is_said_and_the_old_result_kept_in_the_store_and_in_mlflow(tiny, runs):
    plan, store = load(runs, "tiny"), Store(runs)
    job = plan.jobs[0]
    last = plan.stages[job.learn[-1]]
    path = store.folder(last) / "record.json"
    other = json.loads(path.read_text())
    label = max(other["evaluation"]["correct"], key=other["evaluation"]["correct"].get)
    other["evaluation"]["correct"][label] -= 1  # as if another machine had computed it
    other["provenance"]["instructions"] = "none"
    del other["sha256"]
    path.write_text(json.dumps(other))
    told = launch(tiny, runs, "--only", "method=base")
    assert "computed again: 1 stage as before to the last bit, 1 not" in told
    assert f"{last} computed again is not what it was: " in told
    assert f"by class {label}: +1" in told and ", before none" in told
    record = store.record(last)
    assert json.loads((store.stages / record["replaces"] / "record.json").read_text()) == other
    client = MlflowClient(f"sqlite:///{runs}/mlflow.db")
    found = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id], f"attributes.run_name = '{job.name}'"
    )
    tags = {run.data.tags["dfcil.in_spec"]: run.data.tags for run in found}
    assert set(tags) == {"yes", "no"} and len(found) == 2
    assert tags["yes"]["dfcil.replaced"] == f"{last.key[:16]}-1" and "dfcil.replaced" not in tags["no"]
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_kill_in_the_middle_loses_nothing_and_the_same_command_goes_on(tiny, runs):
    before = {path: content for path, content in contents(runs).items() if path.name == "record.json"}
    line = command("launch", tiny.spec, "--runs", runs, "--jobs", 1, "--device", "cpu", "--recompute")
    launcher = subprocess.Popen(line, cwd=runs.parent, env=environment(), stdout=subprocess.DEVNULL)
    left = runs / "sweeps" / "tiny" / FILE
    wait_until(lambda: left.exists() and len(json.loads(left.read_text())["left"]) < STAGES, 120, "a stage done again")
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert {path: content for path, content in contents(runs).items() if path.name == "record.json"} == before
    count = len(json.loads(left.read_text())["left"])
    assert 0 < count < STAGES
    told = launch(tiny, runs)
    assert f"computed again: {count} stage{'s' * (count != 1)} as before to the last bit, 0 not" in told
    assert not left.exists()
