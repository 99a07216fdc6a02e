"""A tracking store in a real PostgreSQL that goes down: a launch goes on, and nothing waits for a minute."""

import shutil
import subprocess
import time

import pytest

from tests.support.launched import SPEC, command, dfcil, environment
from tests.support.mlflow_views import jobs, view
from tests.support.postgres import postgres
from tests.support.processes import wait_until

pytestmark = pytest.mark.server
PATIENCE = 60.0  # seconds: what is promised for a store that is down


@pytest.fixture
def server():
    with postgres() as server:
        yield server


def delivered(uri):
    """Whether the server has an accuracy of a job."""
    return any(run["points"] for run in jobs(uri, "tiny").values())


def timed(*arguments, folder):
    began = time.monotonic()
    done = dfcil(*arguments, folder=folder)
    return done, time.monotonic() - began


def test_a_server_that_is_down_costs_a_warning_and_less_than_a_minute(server, tiny, tmp_path):
    runs, uri = shutil.copytree(tiny.runs, tmp_path / "runs"), server.database("mlflow")
    arguments = ("--runs", runs, "--tracking-uri", uri)
    assert dfcil("sync", "tiny", *arguments, folder=tmp_path).returncode == 0
    server.stop()
    done, seconds = timed("launch", tiny.spec, *arguments, "--device", "cpu", folder=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 0 and seconds < PATIENCE, told
    assert "3 of 3 jobs done; 0 stages run" in told
    assert "takes no results now, training goes on" in told and "dfcil-sweep sync tiny" in told
    assert "Traceback" not in told and "sesame" not in told
    done, seconds = timed("sync", "tiny", *arguments, folder=tmp_path)
    assert done.returncode == 2 and seconds < PATIENCE, done.stderr
    assert "cannot be written to" in done.stderr and "Traceback" not in done.stderr and "sesame" not in done.stderr


def test_a_server_that_goes_down_under_a_launch_costs_no_stage(server, tmp_path):
    uri, runs, spec = server.database("mlflow"), tmp_path / "runs", tmp_path / "s.yaml"
    spec.write_text(SPEC.replace("epochs: 1", "epochs: 20"))
    arguments = ("--runs", runs, "--tracking-uri", uri)
    launcher = subprocess.Popen(
        command("launch", spec, *arguments, "--device", "cpu", "--jobs", 1),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Once a task has come to the server, it goes: in the midst of the sweep.
        wait_until(lambda: delivered(uri), 120, "a delivery")
        server.stop()
        out, err = launcher.communicate(timeout=300)
    finally:
        launcher.kill()
    assert launcher.returncode == 0, err
    assert "3 of 3 jobs done; 6 stages run" in (told := out + err)
    assert "takes no results now, training goes on" in told and "Traceback" not in told and "sesame" not in told
    server.start()
    done = dfcil("sync", "tiny", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {run["state"] for run in view(uri, "tiny").values()} == {"FINISHED"}
    assert len(view(uri, "tiny")) == 4
