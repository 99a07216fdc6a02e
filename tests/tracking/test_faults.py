"""A tracking store that is broken in one way or another costs warnings, never a result, a summary or a traceback."""

import importlib.util
import random
import shutil
import socket
import sqlite3
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import HTTPError
from requests.models import Response
from sqlalchemy.exc import OperationalError

from orchestrator.errors import UserError
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking import describe, patient, writer
from orchestrator.tracking.environment import prepare_client
from orchestrator.tracking.faults import told
from orchestrator.tracking.figures import NO_FIGURES
from orchestrator.tracking.patient import _Patient
from orchestrator.tracking.reading import TrackingStore
from orchestrator.tracking.study import Ending, StudyTracker
from orchestrator.tracking.tracker import Tracker, sync
from orchestrator.tracking.ui import ui_pages
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import jobs, stable, view


@pytest.fixture(scope="module")
def plan():
    return sweep(("base", "abd"), seeds=(0,))


@pytest.fixture
def runs(plan, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    finish(plan, tmp_path)
    return tmp_path


def results_of(plan, runs):
    return job_results(plan, Store(runs).records(plan.stages.values()))


def track(plan, runs, uri=None):
    """A launch's deliveries: how many jobs could not be delivered, and the warnings."""
    warnings = []
    with Tracker(plan, runs, uri, warn=warnings.append, figures=NO_FIGURES) as tracker:
        for result in results_of(plan, runs):
            tracker.deliver(result)
        return tracker.finish("FINISHED", results_of(plan, runs)), warnings


# ---- the file --------------------------------------------------------------------------------------------------------


def garbled(path):
    path.write_bytes(random.Random(0).randbytes(10_000))


def cut(path):
    path.write_bytes(path.read_bytes()[: 5 * 4096])


def torn(path):
    content = bytearray(path.read_bytes())
    content[4096:] = random.Random(1).randbytes(len(content) - 4096)
    path.write_bytes(content)


def folder(path):
    path.unlink()
    path.mkdir()


def of_another_version(path):
    with sqlite3.connect(path) as database:
        database.execute("update alembic_version set version_num = 'of the future'")
    database.close()


def without_a_table(path):
    with sqlite3.connect(path) as database:
        database.execute("drop table runs")
    database.close()


@pytest.mark.parametrize("damage", [garbled, cut, torn, folder, of_another_version, without_a_table])
def test_a_damaged_file_costs_a_warning_that_says_what_to_do(plan, runs, blank, damage):
    shutil.copy(blank, runs / "mlflow.db")
    damage(runs / "mlflow.db")
    began = time.monotonic()
    undelivered, warnings = track(plan, runs)
    assert undelivered == 2 and len(warnings) == 2 and time.monotonic() - began < 30
    assert "training goes on" in warnings[0] and f"move {runs}/mlflow.db away" in warnings[0]
    assert "dfcil-sweep sync fab" in warnings[1] and "\n" not in "".join(warnings)
    with pytest.raises(UserError, match=f"cannot be written to: .*move {runs}/mlflow.db away"):
        sync(plan, runs)
    with pytest.raises(UserError, match="cannot be read: "), TrackingStore(f"sqlite:///{runs}/mlflow.db").reached():
        TrackingStore(f"sqlite:///{runs}/mlflow.db").runs("fab", "fab")
    with pytest.raises(UserError, match="cannot be read: "):
        ui_pages(f"sqlite:///{runs}/mlflow.db", 5000, "fab")


def test_the_remedy_for_a_damaged_file_is_one(plan, runs, blank):
    shutil.copy(blank, runs / "mlflow.db")
    assert track(plan, runs) == (0, [])
    (runs / "mlflow.db").rename(runs / "aside")
    # In this process MLflow remembers the file by its address: here the new one has another.
    shutil.copy(blank, runs / "new.db")
    assert sync(plan, runs, f"sqlite:///{runs}/new.db") == 2
    assert len(view(f"sqlite:///{runs}/new.db")) == 3


def test_a_damaged_file_costs_a_search_warnings_too(runs, blank):
    shutil.copy(blank, runs / "mlflow.db")
    torn(runs / "mlflow.db")
    warnings = []
    tracker = StudyTracker("fab", "fab-abd", "name: fab\n", runs, None, warnings.append)
    tracker.start()
    tracker.finish([], Ending("FINISHED"))
    assert len(warnings) == 1 and "safe in the study" in warnings[0] and "move " in warnings[0]


@pytest.mark.long  # MLflow waits for a lock for five seconds, each time
def test_a_locked_file_costs_warnings(plan, runs, blank):
    shutil.copy(blank, runs / "mlflow.db")
    holder = sqlite3.connect(runs / "mlflow.db", isolation_level=None)
    holder.execute("begin exclusive")
    began = time.monotonic()
    undelivered, warnings = track(plan, runs)
    assert undelivered == 2 and "Another program holds the file" in warnings[0]
    assert time.monotonic() - began < 60
    holder.execute("rollback")
    assert sync(plan, runs) == 2


@pytest.mark.parametrize(
    ("error", "uri", "words"),
    [
        (
            OperationalError("s", {}, sqlite3.OperationalError("database or disk is full")),
            "sqlite:////d/x",
            "Make room",
        ),
        (sqlite3.DatabaseError("file is not a database"), "sqlite:////d/x.db", "move /d/x.db away"),
        (OSError(28, "No space left on device"), "sqlite:////d/x", "Make room"),
        (MlflowException("cannot reach postgresql://u:s3@cr3t@h/db"), "postgresql://u:s3@cr3t@h/db", "//h/db"),
        (OSError(), "http://h", "OSError"),
    ],
)
def test_a_failure_is_told_in_a_line(error, uri, words):
    assert words in told(error, uri) and "cr3t" not in told(error, uri) and "\n" not in told(error, uri)


# ---- a server --------------------------------------------------------------------------------------------------------


def test_a_proxy_that_is_asked_for_this_machine_is_named(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    error = MlflowException("API request to http://127.0.0.1:5000/api failed")
    assert "NO_PROXY" not in told(error, "http://127.0.0.1:5000")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    for host in ("127.0.0.1", "localhost", "127.0.1.1"):
        assert f"http_proxy is set, and asked for {host}: add {host} to NO_PROXY" in told(error, f"http://{host}:5000")
    assert "NO_PROXY" not in told(error, "http://server:5000")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "NO_PROXY" not in told(error, "http://127.0.0.1:5000")


@pytest.fixture
def silent():
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_store_that_is_down_is_left_alone_soon(plan, runs):
    drivers = [name for name in ("psycopg2", "psycopg") if importlib.util.find_spec(name)]
    for uri in ("http://127.0.0.1:9", *(f"postgresql+{name}://u:s3cr3t@127.0.0.1:9/db" for name in drivers)):
        began = time.monotonic()
        undelivered, warnings = track(plan, runs, uri)
        assert undelivered == 2 and time.monotonic() - began < 15 and "s3cr3t" not in "".join(warnings)
        with pytest.raises(UserError, match="cannot be written to"):
            sync(plan, runs, uri)
        assert time.monotonic() - began < 20


@pytest.mark.long  # three calls, ten seconds each
def test_a_server_that_never_answers_holds_a_launch_up_for_less_than_a_minute(plan, runs, silent):
    began = time.monotonic()
    assert track(plan, runs, silent)[0] == 2
    assert time.monotonic() - began < 45
    with pytest.raises(UserError, match="cannot be written to"):
        sync(plan, runs, silent)
    assert time.monotonic() - began < 60


class Flaky:
    """A client whose calls fail in passing, at a share of them: before they are made, or after, their answer lost."""

    def __init__(self, client, share, seed=0):
        self._client, self._share, self._chance, self.failed = client, share, random.Random(seed), 0

    def __getattr__(self, name):
        found = getattr(self._client, name)

        def call(*arguments, **options):
            lost = self._chance.random() < self._share and name not in patient.COMPOSITE
            failure = self._chance.choice([*ANSWERS]) if lost else None
            if failure is not None:
                self.failed += 1
                if self._chance.random() < 0.5:
                    raise failure
            answer = found(*arguments, **options)
            if failure is not None:
                raise failure
            return answer

        return call


def _unavailable():
    response = Response()
    response.status_code = 503
    return HTTPError("503 Server Error", response=response)


ANSWERS = (
    MlflowException("API request failed with exception ...: (Caused by ResponseError('too many 503 error responses'))"),
    MlflowException("API request failed with exception ('Connection aborted.', ConnectionResetError(104))"),
    MlflowException("API request to endpoint /x failed with error code 502 != 200. Response body: ''"),
    _unavailable(),
)


@pytest.mark.parametrize("share", [0.06, 0.3])
def test_calls_that_fail_in_passing_are_made_again_and_make_nothing_twice(plan, runs, blank, monkeypatch, share):
    shutil.copy(blank, runs / "mlflow.db")
    made = []

    def flaky(uri):
        made.append(Flaky(MlflowClient(tracking_uri=uri), share, len(made)))
        return _Patient(made[-1])

    monkeypatch.setattr(patient, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(writer, "patient_client", flaky)
    undelivered, warnings = track(plan, runs)
    assert (undelivered, warnings) == (0, []) and sum(client.failed for client in made) >= (share > 0.1)
    monkeypatch.undo()
    found = view(f"sqlite:///{runs}/mlflow.db")
    assert len(found) == 3 and {run["state"] for run in found.values()} == {"FINISHED"}
    client = MlflowClient(f"sqlite:///{runs}/mlflow.db")
    experiment = client.get_experiment_by_name("fab").experiment_id
    assert len(client.search_runs([experiment], run_view_type=3)) == 3, "no run was made twice"
    shutil.copy(blank, runs / "sound.db")
    sync(plan, runs, f"sqlite:///{runs}/sound.db", figures=NO_FIGURES)
    assert stable(jobs(f"sqlite:///{runs}/mlflow.db")) == stable(jobs(f"sqlite:///{runs}/sound.db"))


def test_what_failed_for_good_is_not_asked_again():
    class Refusing:
        calls = 0

        def get_run(self, run):
            self.calls += 1
            raise MlflowException("API request failed: Failed to establish a new connection: Connection refused")

        log_model = get_run

    refusing = Refusing()
    for call in (_Patient(refusing).get_run, _Patient(refusing).log_model):
        with pytest.raises(MlflowException):
            call("x")
    assert refusing.calls == 2


class _Lossy(BaseHTTPRequestHandler):
    """Hands every request on to a server, but answers 503 to some, before or after the server has seen them."""

    protocol_version, share, chance, behind = "HTTP/1.1", 0.3, random.Random(0), 0

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lost = self.chance.random() < self.share
        if lost and self.chance.random() < 0.5:
            return self._answer(503, b"")
        try:
            server = HTTPConnection("127.0.0.1", self.behind, timeout=30)
            server.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k != "Host"})
            answer = server.getresponse()
            content = answer.read()
            server.close()
        except OSError:
            return self._answer(503, b"")
        return self._answer(503, b"") if lost else self._answer(answer.status, content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.mark.server
def test_a_real_server_behind_a_lossy_network_gets_everything_in_one_go(plan, runs, tmp_path_factory):
    from tests.tracking.test_server import Server

    prepare_client()
    folder = tmp_path_factory.mktemp("lossy")
    MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()
    server = Server(folder)
    server.start()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Lossy", (_Lossy,), {"behind": server.port}))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{proxy.server_address[1]}"
        undelivered, warnings = track(plan, runs, address)
        assert undelivered == 0, warnings[0][-400:]
        assert sync(plan, runs, address) == 2
        found = view(server.uri)
        assert len(found) == 3 and {run["state"] for run in found.values()} == {"FINISHED"}
        assert {run["tags"].get(describe.DELIVERED) for run in jobs(server.uri).values()} == {
            "5 of 5 stages",
            "9 of 9 stages",
        }
    finally:
        proxy.shutdown()
        server.stop()


def test_an_upload_that_is_made_again_is_whole(tmp_path, monkeypatch):
    sent = []

    def request(*_, data):
        sent.append(data.read())
        if len(sent) < 3:
            raise ANSWERS[0]

    monkeypatch.setattr(patient, "_request", request)
    monkeypatch.setattr(patient, "_FIRST_PAUSE", 0.001)
    (tmp_path / "x").write_bytes(b"whole")
    with (tmp_path / "x").open("rb") as file:
        patient._requests_again(patient._patient_request)("PUT", data=file)
    assert sent == [b"whole"] * 3
