"""A plain launch, as the other users of its machine find it: its ports, and its files in the temporary directory."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.cluster.batch import batch_workers
from orchestrator.cluster.profile import load_profile
from orchestrator.cluster.scratch import scratch
from orchestrator.cluster.systems import BATCH_SYSTEMS
from tests.support.clustered import need_root
from tests.support.paths import ROOT
from tests.support.processes import listening, session_members, wait_until
from tests.support.second_user import NOBODY, give_to_nobody, open_folder

SUPPORT = ROOT / "tests" / "support"


@pytest.fixture
def temporary(monkeypatch):
    """The temporary directory, open to all as it is."""
    with open_folder() as folder:
        folder.chmod(0o1777)
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr("tempfile.tempdir", None)
        yield folder


@contextmanager
def launch_at_work(folder: Path):
    """A launch of the fake runner's in the middle of its first stage, which takes a minute."""
    notes = folder / "notes"
    notes.mkdir(exist_ok=True)
    command = [sys.executable, SUPPORT / "fake_launcher.py", folder / "runs", notes, 1, 60, 1]
    process = subprocess.Popen([str(part) for part in command], start_new_session=True)
    try:
        wait_until(lambda: (notes / "a0").exists(), 30, "a stage at work")
        yield process
    finally:
        process.kill()
        process.wait()
        wait_until(lambda: session_members(process.pid) == [], 30, "all processes gone")
        shutil.rmtree(notes)


@pytest.mark.long
def test_without_the_launchs_key_no_port_of_it_answers_another_user(tmp_path, temporary):
    need_root()
    with launch_at_work(tmp_path) as process:
        ports = listening(session_members(process.pid))
        (folder,) = temporary.glob("dfcil-sweep-*")
        command = [sys.executable, SUPPORT / "intruder.py", folder, *ports]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        inside, outside = json.loads(done.stdout)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.pem")}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and modes == {"certificate.pem": 0o600, "key.pem": 0o600}
    kinds = sorted(told["with the key"] for told in inside.values() if told["with the key"])
    assert kinds == ["Nanny", "Scheduler", "Worker"]  # with the key they answer: these are the ports
    assert outside.keys() == inside.keys()
    for port, told in outside.items():
        heard = told.pop("http")
        assert told == dict.fromkeys(["plain", "plain client", "own certificate", "own certificate, client"]), port
        assert heard in ([], ['/sitemap.json: {"paths": ["/sitemap.json"]}']), port


def test_what_a_killed_launch_left_goes_with_the_next(tmp_path, temporary):
    with launch_at_work(tmp_path) as process:
        (left,) = temporary.iterdir()
        process.send_signal(signal.SIGKILL)
    assert (left / "key.pem").exists()
    with launch_at_work(tmp_path) as process:
        (mine,) = temporary.iterdir()
        assert mine != left
        with scratch() as another:
            assert sorted(temporary.iterdir()) == sorted([mine, another])  # of one that lives nothing goes
        process.terminate()
        process.wait(30)
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["dask-scratch-space", f"dfcil-sweep-{os.getuid()}-planted"])
def test_a_link_in_the_temporary_directory_is_not_followed(tmp_path, temporary, name):
    target = tmp_path / "target"
    (target / "kept").mkdir(parents=True)
    target.chmod(0o700)
    (temporary / name).symlink_to(target)
    with launch_at_work(tmp_path) as process:
        process.terminate()
        process.wait(30)
    assert [path.name for path in target.iterdir()] == ["kept"]
    assert [path.name for path in temporary.iterdir()] == [name]


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_the_folder_of_another_user_is_left_alone(temporary, mode):
    need_root()
    planted = temporary / f"dfcil-sweep-{os.getuid()}-planted"
    planted.mkdir()
    (planted / "theirs").touch()
    planted.chmod(mode)
    give_to_nobody(planted)
    with scratch():
        pass
    assert (planted / "theirs").exists() and planted.stat().st_uid == NOBODY


def test_a_file_or_an_open_folder_by_that_name_is_left_alone(temporary):
    (temporary / f"dfcil-sweep-{os.getuid()}-file").touch()
    (temporary / f"dfcil-sweep-{os.getuid()}-open").mkdir(mode=0o755)
    with scratch() as mine:
        assert stat.S_IMODE(mine.stat().st_mode) == 0o700
    assert len(list(temporary.iterdir())) == 2


def test_a_folder_removed_before_it_was_locked_is_not_used(temporary, monkeypatch):
    """As by another launch, which takes it for one that was left."""
    real, removed = os.open, []

    def late(path, flags, *rest, **named):
        if not removed and str(path).startswith(str(temporary)):
            removed.append(path)
            handle = real(path, flags, *rest, **named)
            os.rmdir(path)
            return handle
        return real(path, flags, *rest, **named)

    monkeypatch.setattr("orchestrator.cluster.scratch.os.open", late)
    with scratch() as mine:
        assert mine.is_dir() and mine != removed[0]


def test_a_job_of_a_batch_system_has_the_key_and_a_scratch_folder_of_its_own(tmp_path, temporary, monkeypatch):
    """With stand-ins for sbatch and scancel, which run the job's script right here."""
    commands = {
        "sbatch": f'cd {tmp_path}; cp "$1" job; setsid bash job > log 2>&1 & echo "Submitted batch job $!"',
        "scancel": 'kill -TERM -- "-$1"',
    }
    (tmp_path / "bin").mkdir()
    for name, command in commands.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{command}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "profile.yaml").write_text('walltime: "01:00:00"\ncores: 1\nmemory: 1GB\n')
    (tmp_path / "runs").mkdir()
    profile = load_profile(tmp_path / "profile.yaml", BATCH_SYSTEMS["slurm"])
    with batch_workers(profile, tmp_path / "runs", 1, 1) as workers:
        workers.client.wait_for_workers(1, timeout=60)
        assert workers.client.scheduler.address.startswith("tls://")
        (address,) = workers.client.run(os.getpid)
        assert address.startswith("tls://")
        assert {stat.S_IMODE(path.stat().st_mode) for path in temporary.iterdir()} == {0o700}
        assert len(list(temporary.iterdir())) == 2  # the launch's, and the job's
        assert {stat.S_IMODE(path.stat().st_mode) for path in workers.probe.glob("*.pem")} == {0o600}
    wait_until(lambda: not list(temporary.iterdir()), 30, "scratch folders gone")
    assert list((tmp_path / "runs").glob(".cluster-*")) == []
