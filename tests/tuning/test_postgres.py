"""A study in a real PostgreSQL: several processes may look at it, and it survives its tuner."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.errors import UserError
from orchestrator.tuning import study, summary
from orchestrator.tuning.study import ENDED, RUNNING, Study
from tests.support import fake_tuning
from tests.support.fake_tuning import read, search
from tests.support.paths import ROOT, SUPPORT
from tests.support.tools import need

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server of our own, with the database `optuna`, which a password opens."""
    # Debian keeps the server's programs out of the path.
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *folders])
    need("initdb", "pg_ctl")
    home = tmp_path_factory.mktemp("postgres", numbered=True)
    # The server refuses to run as root.
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    if user:
        for folder in (home, *home.parents[:3]):
            folder.chmod(0o755)
        subprocess.run(["chown", "postgres:postgres", str(home)], check=True)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "password").write_text("sesame\n")
    (home / "password").chmod(0o644)
    settings = ["-U", "tuner", "-A", "scram-sha-256", f"--pwfile={home / 'password'}", "--no-sync"]
    data = str(home / "data")
    run = {"check": True, "cwd": home, "stdout": subprocess.DEVNULL}
    subprocess.run([*user, "initdb", "-D", data, *settings], **run)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    subprocess.run([*user, "pg_ctl", "-D", data, "-l", str(home / "log"), "-w", "-o", options, "start"], **run)
    try:
        import psycopg

        with psycopg.connect(f"postgresql://tuner:sesame@127.0.0.1:{port}/postgres", autocommit=True) as admin:
            admin.execute("CREATE DATABASE optuna")
        yield f"postgresql+psycopg://tuner:sesame@127.0.0.1:{port}/optuna"
    finally:
        subprocess.run([*user, "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)


def test_a_search_in_postgresql_survives_its_tuner(tmp_path, url):
    spec_file = tmp_path / "spec.yaml"
    spec_file.write_text(fake_tuning.SPEC.format(more="trials: 8"))
    here = SUPPORT
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(here / "fake_tuning.py"), str(spec_file), str(tmp_path / "runs"), url]
    tuner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    for _ in range(12):
        tuner.stdout.readline()
    tuner.send_signal(signal.SIGKILL)
    tuner.wait()
    tuner.stdout.close()
    asked = read("trials: 8")
    assert Study(asked, study.open_storage(tmp_path, url), "cpu").trials(RUNNING)
    found, _ = search(asked, tmp_path / "runs", storage=url)
    trials = found.trials()
    assert [trial.state in ENDED for trial in trials] == [True] * 8
    assert len({tuple(trial.params.items()) for trial in trials}) == 8
    stages = [path for path in (tmp_path / "runs" / "stages").iterdir() if not path.name.startswith(".")]
    assert summary.cost(found, "cpu").searched == len(stages)
    assert not (tmp_path / "runs" / study.JOURNAL).exists()


def test_a_wrong_password_is_a_mistake_that_does_not_show_it(tmp_path, url):
    with pytest.raises(UserError) as caught:
        study.open_storage(tmp_path, url.replace("sesame", "mustard"))
    assert "password authentication failed" in str(caught.value) and "mustard" not in str(caught.value)
