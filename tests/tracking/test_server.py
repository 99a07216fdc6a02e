"""Sweeps delivered to a real `mlflow server` over HTTP, which may be down when a launch needs it."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.errors import UserError
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking.environment import prepare_client, server_environment
from orchestrator.tracking.ui import free_port, ui_command, ui_pages
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import jobs, stable, view
from tests.support.tracked import Tracker, sync


class Server:
    """The process that `dfcil-sweep ui` starts, as a tracking server that can be stopped and started."""

    def __init__(self, folder) -> None:
        self.folder, self.port, self.process = folder, free_port(0), None
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if self.process is None:
            uri = f"sqlite:///{self.folder}/mlflow.db"
            command = ui_command(self.folder, uri, self.port)
            log = (self.folder / "server.log").open("a")
            self.process = subprocess.Popen(
                command, env=server_environment(uri), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "server.log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=1).status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    prepare_client()
    MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()
    made = Server(folder)
    yield made
    made.stop()


def results_of(plan, runs):
    return job_results(plan, Store(runs).records(plan.stages.values()))


@pytest.mark.long
def test_a_server_gets_what_a_file_gets(tmp_path, server):
    server.start()
    plan = sweep(("abd",), seeds=(0,), name="over http")
    finish(plan, tmp_path)
    with Tracker(plan, tmp_path, server.uri) as tracker:
        assert tracker.finish("FINISHED", results_of(plan, tmp_path)) == 0
    sync(plan, tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    found = jobs(server.uri, "over http")
    assert stable(found) == stable(jobs(f"sqlite:///{tmp_path}/mlflow.db", "over http"))
    experiment = MlflowClient(server.uri).get_experiment_by_name("over http").experiment_id
    address = ui_pages(server.uri, 0, "over http")[0].address
    assert address.startswith(f"{server.uri}/#/experiments/{experiment}/runs?")
    assert address.rpartition("viewStateShareKey=")[2] == quote("dfcil-over http-methods")
    assert ui_pages(server.uri, 0, "no such sweep")[0].address == f"{server.uri}/#/experiments"


@pytest.mark.long
def test_a_server_that_dies_and_comes_back_gets_everything(tmp_path, server):
    server.start()
    plan = sweep(("base", "abd"), seeds=(0,))
    stages = list(plan.stages)
    warnings = []
    with Tracker(plan, tmp_path, server.uri, warn=warnings.append, retry_every=0.2) as tracker:
        for number, key in enumerate(stages):
            if number == 4:
                server.stop()
            if number == 9:
                server.start()
            finish(plan, tmp_path, [key])
            before = time.monotonic()
            for result in results_of(plan, tmp_path):
                tracker.deliver(result)
            assert time.monotonic() - before < 1, "training waits for MLflow"
            time.sleep(0.1)
        assert tracker.finish("FINISHED", results_of(plan, tmp_path)) == 0
    assert len(warnings) == 1 and "training goes on" in warnings[0]
    once = view(server.uri)
    assert {run["state"] for run in once.values()} == {"FINISHED"}
    sync(plan, tmp_path, f"sqlite:///{tmp_path}/mlflow.db")
    assert stable(jobs(server.uri)) == stable(jobs(f"sqlite:///{tmp_path}/mlflow.db"))


@pytest.mark.long
def test_a_server_that_is_down_all_the_time_costs_warnings_and_is_synced_later(tmp_path, server):
    server.stop()
    plan = sweep(("base", "lwf"), seeds=(0, 1), name="late")
    finish(plan, tmp_path)
    warnings = []
    before = time.monotonic()
    with Tracker(plan, tmp_path, server.uri, warn=warnings.append) as tracker:
        for result in results_of(plan, tmp_path):
            tracker.deliver(result)
        assert tracker.finish("FINISHED", results_of(plan, tmp_path)) == 4
    assert time.monotonic() - before < 10
    assert ["training goes on" in warnings[0], "dfcil-sweep sync late" in warnings[1]] == [True, True]
    with pytest.raises(UserError, match=f"MLflow at {server.uri} cannot be written to"):
        sync(plan, tmp_path, server.uri)
    server.start()
    assert sync(plan, tmp_path, server.uri) == 4
    assert {run["state"] for run in view(server.uri, "late").values()} == {"FINISHED"}


def test_no_password_of_a_server_is_shown(tmp_path, server):
    server.stop()
    plan = sweep(("base",), seeds=(0,))
    warnings = []
    address = server.uri.replace("//", "//ada:secret@")
    with Tracker(plan, tmp_path, address, warn=warnings.append) as tracker:
        tracker.finish("FINISHED", [])
    with pytest.raises(UserError) as mistake:
        sync(plan, tmp_path, address)
    assert len(warnings) == 2 and "secret" not in " ".join([*warnings, str(mistake.value)])


def test_a_taken_port_is_not_chosen():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
