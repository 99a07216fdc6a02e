"""Sweeps delivered to a real MLflow server with basic authentication."""

import base64
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from orchestrator.errors import UserError
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking.environment import server_environment
from orchestrator.tracking.ui import free_port, ui_pages
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import jobs, stable, view
from tests.support.tracked import Tracker, sync

USER, PASSWORD = "admin", "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of `mlflow server --app-name basic-auth`."""
    folder, port = tmp_path_factory.mktemp("auth"), free_port(0)
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    settings = folder / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "auth_cache_ttl_seconds = 60\n"  # a password is checked in a tenth of a second, on purpose
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    environment = server_environment(f"sqlite:///{folder}/mlflow.db") | {"MLFLOW_AUTH_CONFIG_PATH": str(settings)}
    environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] = "for this test alone"
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + 90
    while not _answers(f"{address}/api/2.0/mlflow/experiments/search?max_results=1"):
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    yield address
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(address: str) -> bool:
    key = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(address, headers={"Authorization": f"Basic {key}"})
    try:
        return urllib.request.urlopen(request, timeout=2).status == 200
    except (urllib.error.URLError, OSError):
        return False


def launch(plan, runs, uri, warnings) -> int:
    finish(plan, runs)
    results = job_results(plan, Store(runs).records(plan.stages.values()))
    with Tracker(plan, runs, uri, warn=warnings.append) as tracker:
        for result in results:
            tracker.deliver(result)
        return tracker.finish("FINISHED", results)


@pytest.mark.long
def test_the_right_password_delivers_everything(tmp_path, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    plan, warnings = sweep(("abd",), seeds=(0,), splits=((5, 5),), name="locked"), []
    assert launch(plan, tmp_path, server, warnings) == 0 and warnings == []
    sync(plan, tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    assert stable(jobs(server, "locked")) == stable(jobs(f"sqlite:///{tmp_path}/mlflow.db", "locked"))
    assert len([name for name in view(server, "locked")["locked"]["artifacts"] if name == "comparison.png"]) == 1
    assert ui_pages(server, 0, "locked")[0].address.startswith(f"{server}/#/experiments/")


def test_a_wrong_password_costs_warnings_and_is_synced_later(tmp_path, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong and secret")
    plan, warnings = sweep(("base",), seeds=(0,), splits=((5, 5),), name="late"), []
    assert launch(plan, tmp_path, server, warnings) == 1
    assert "training goes on" in warnings[0] and "401" in warnings[0]
    with pytest.raises(UserError, match="401") as mistake:
        sync(plan, tmp_path, server)
    assert "secret" not in " ".join([*warnings, str(mistake.value)])

    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert sync(plan, tmp_path, server) == 1
    assert {run["state"] for run in view(server, "late").values()} == {"FINISHED"}


def test_a_password_in_the_address_works_and_is_not_shown(tmp_path, server, monkeypatch):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    address = server.replace("//", f"//{USER}:{PASSWORD.replace(' ', '%20')}@")
    plan, warnings = sweep(("base",), seeds=(0,), splits=((5, 5),), name="in the address"), []
    assert launch(plan, tmp_path, address, warnings) == 0 and warnings == []
    assert next(iter(jobs(address, "in the address").values()))["state"] == "FINISHED"
    assert PASSWORD.split()[0] not in str(ui_pages(address, 0, "in the address"))
