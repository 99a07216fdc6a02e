"""`ui` tells an address when its server answers there, and not before; the server's log goes into a file."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.cli.ui import _serve
from orchestrator.errors import UserError
from orchestrator.tracking.ui import Page, answers, free_port, log_file
from tests.support.processes import wait_until

# A server as slow to answer as MLflow's, which says something and ends by itself.
SERVER = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.server.done = True
time.sleep(0.5)
print("it serves", flush=True)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.done = False
while not server.done: server.handle_request()
"""


def serve(code: str, folder: Path, port: int) -> None:
    pages = [Page("by method and split", f"http://127.0.0.1:{port}/#/one"), Page("dreams", "http://two")]
    command = [sys.executable, "-c", code, str(port)]
    _serve(command, dict(os.environ), log_file(folder, port), pages, port, opens=False)


def test_the_addresses_are_told_when_the_server_answers(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # no business of ours with ourselves
    port = free_port(0)
    assert not answers(port)
    with pytest.raises(SystemExit) as end:
        serve(SERVER, tmp_path, port)
    assert end.value.code == 0
    told = capsys.readouterr()
    assert told.out == f"http://127.0.0.1:{port}/#/one\n  dreams: http://two\nCtrl-C stops the server\n"
    assert told.err == f"MLflow's server starts; its log: {tmp_path}/ui-{port}.log\n"
    assert (tmp_path / f"ui-{port}.log").read_text().startswith("it serves\n")


def test_a_server_that_does_not_start_is_told_with_its_log(tmp_path, capsys):
    with pytest.raises(UserError, match=f"ended before it answered. What it said: {tmp_path}/ui-"):
        serve("raise SystemExit('no such table')", tmp_path, free_port(0))
    assert "no such table" in next(tmp_path.iterdir()).read_text()
    assert capsys.readouterr().out == ""


# One that does not end when it is asked to, nor does its own process.
STUBBORN = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
{SERVER}
while True: time.sleep(1)
"""


def test_a_server_that_does_not_end_is_killed_with_its_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("orchestrator.cli.ui._PATIENCE", 0.5)

    def stopped(pages):
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.cli.ui._tell", stopped)
    port = free_port(0)
    serve(STUBBORN, tmp_path, port)
    assert not answers(port)
    child = int((tmp_path / f"ui-{port}.log").read_text().split()[0])
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie", 30, "its end")


def test_a_folder_that_is_not_there_is_not_made_for_a_log(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    log = log_file(tmp_path / "none", 5000)
    assert log.parent.is_dir() and log.is_relative_to(tmp_path / "temporary")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.long
def test_the_server_of_a_sweep_answers_where_it_says_and_ends_when_told(tmp_path):
    from orchestrator.store import sweep_folder
    from tests.support.fabricated import finish, sweep
    from tests.support.launched import command, environment
    from tests.support.tracked import sync

    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    finish(plan, tmp_path)
    sweep_folder.save(tmp_path, plan)
    sync(plan, tmp_path)
    asked = command("ui", "fab", "--runs", tmp_path, "--no-open", "--port", free_port(0))
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        address = process.stdout.readline().strip()
        assert answers(int(address.split(":")[2].split("/")[0])) and address.endswith("dfcil-fab-methods")
        process.terminate()
        process.communicate(timeout=30)
