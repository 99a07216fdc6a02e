"""A command that is told of the end: what it is given, and that nothing depends on it."""

import json
import os
import signal
import subprocess
import time

import pytest

from orchestrator import notify
from orchestrator.errors import UserError
from orchestrator.notify import notifying, require_command
from tests.support.launched import SPEC, command, dfcil, environment
from tests.support.processes import wait_until

ABOUT = {"command": "launch", "sweep": "s"}


@pytest.fixture
def told(tmp_path):
    """A command that keeps what it is given, and what it was given."""
    path = tmp_path / "told.json"
    return f"cat > '{path}'", lambda: json.loads(path.read_text())


def test_it_is_given_the_summary_and_how_it_ended(told):
    line, given = told
    with notifying(line, ABOUT, pytest.fail) as ended:
        ended(True, {"jobs": 3})
    found = given()
    assert {**found, "began": "", "ended": "", "seconds": 0} == {
        **ABOUT,
        "state": "done",
        "jobs": 3,
        "began": "",
        "ended": "",
        "seconds": 0,
        "host": os.uname().nodename,
    }
    assert found["began"] <= found["ended"] and found["began"].endswith("+00:00")
    with notifying(line, ABOUT, pytest.fail) as ended:
        ended(False, {})
    assert given()["state"] == "failed"


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt, "interrupted"), (ValueError("no"), "error")])
def test_what_ends_by_an_exception_is_told_of_too(told, error, state):
    line, given = told
    with pytest.raises(type(error) if isinstance(error, Exception) else error), notifying(line, ABOUT, pytest.fail):
        raise error
    assert given()["state"] == state
    assert given().get("error") == ("ValueError: no" if state == "error" else None)


def test_a_command_that_fails_is_a_warning(monkeypatch):
    monkeypatch.setattr(notify, "SECONDS", 0.2)
    warnings = []
    for line in ("echo no >&2; exit 3", "/no/such/command", "sleep 30", "exec true"):
        with notifying(line, ABOUT, warnings.append) as ended:
            ended(True, {})
    assert warnings[0] == "--notify: the command ended with status 3: no"
    assert warnings[1].startswith("--notify: the command ended with status 127: ")
    assert warnings[2] == "--notify: the command has not ended for 0.2 seconds, and was given up: sleep 30"
    assert len(warnings) == 3, "one that does not read what it is given is none"


def test_without_a_command_nothing_is_run(monkeypatch):
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    with notifying(None, ABOUT, pytest.fail) as ended:
        ended(True, {})
    require_command(None)
    with pytest.raises(UserError, match="--notify: the command is empty"):
        require_command("  ")


@pytest.mark.long
def test_a_launch_that_ends_fails_and_is_stopped(tmp_path, told):
    # Launches, each a process that loads torch and mlflow anew.
    line, given = told
    (tmp_path / "tiny.yaml").write_text(SPEC)
    place = ("--runs", tmp_path / "runs", "--jobs", 1, "--device", "cpu", "--notify", line)
    assert dfcil("launch", "tiny.yaml", *place, "--set", "methods=[nothing]", folder=tmp_path).returncode == 2
    assert not (tmp_path / "told.json").exists(), "nothing had begun"
    slow = ("--set", "training.epochs=5000")
    launcher = subprocess.Popen(command("launch", "tiny.yaml", *place, *slow), cwd=tmp_path, env=environment())
    wait_until(lambda: list((tmp_path / "runs" / "stages").glob(".work-*")), 120, "a stage at work")
    time.sleep(1)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=60) == 130
    assert given()["state"] == "interrupted" and given()["sweep"] == "tiny"
    assert dfcil("launch", "tiny.yaml", *place, folder=tmp_path).returncode == 0
    assert given()["state"] == "done" and given()["failures"] == []
    assert given()["jobs"] == {"done": 3, "failed": 0, "of_sweep": 3}
    assert given()["stages"] == {"run": 6, "reused": 0}
    diverging = ("--set", "training.lr=1000000", "--only", "method=base")
    assert dfcil("launch", "tiny.yaml", *place, *diverging, folder=tmp_path).returncode == 1
    assert given()["state"] == "failed" and given()["jobs"]["failed"] == 1
    assert given()["failures"][0]["jobs"][0] == "base · 2 tasks · seed 0" and given()["failures"][0]["error"]
