"""Nothing is pruned while anybody is at work: a launcher, a tuner or a worker, on this machine or on another."""

import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from orchestrator.errors import UserError
from orchestrator.store.at_work import require_nobody_at_work
from orchestrator.store.lease import Leases
from orchestrator.store.maintenance import remove, waste
from orchestrator.store.store import Store
from tests.support.launched import command, dfcil, environment
from tests.support.processes import wait_until
from tests.support.searched import search_spec

PLACES = {
    "'digits'": "sweeps/digits/launches",
    "the study 'searched-0123456789ab'": "tuning/searched-0123456789ab/tuners",
    "a stage": "stages",
}
ELSEWHERE = {"place": "another machine", "host": "login2"}


@pytest.fixture(autouse=True)
def short_silence(monkeypatch):
    monkeypatch.setattr("orchestrator.store.at_work._SILENT_SECONDS", 0.6)


@pytest.fixture(params=PLACES, ids=str)
def work(request):
    return request.param


@pytest.fixture
def leases(tmp_path, work):
    folder = tmp_path / PLACES[work]
    folder.mkdir(parents=True)
    return Leases(folder, 0.6)


def look(runs):
    said = []
    require_nobody_at_work(runs, ["digits"], said.append)
    return said


@contextmanager
def held_elsewhere(leases, beats):
    """A lease of a process on another machine, whose heart beats, or does not."""
    with leases.acquire("0" * 16):
        holder = replace(leases.read("0" * 16), token="theirs", **ELSEWHERE)
    over = threading.Event()

    def beat():
        number = 0
        while not over.wait(0.1):
            number += 1
            with leases.lock():
                leases.write("0" * 16, replace(holder, beat=number))

    heart = threading.Thread(target=beat)
    with leases.lock():
        leases.write("0" * 16, holder)
    if beats:
        heart.start()
    try:
        yield
    finally:
        over.set()
        if beats:
            heart.join()


def test_somebody_on_this_machine(tmp_path, leases, work):
    with leases.acquire("0" * 16), pytest.raises(UserError, match=f"is at work on {work} in "):
        look(tmp_path)
    assert look(tmp_path) == []


def test_somebody_on_another_machine_who_gives_signs_of_life(tmp_path, leases, work):
    with held_elsewhere(leases, beats=True), pytest.raises(UserError, match=f"on login2 is at work on {work} in "):
        look(tmp_path)


def test_somebody_on_another_machine_who_was_killed(tmp_path, leases):
    with held_elsewhere(leases, beats=False):
        (told,) = look(tmp_path)
    assert told.endswith("seconds for a sign of life from login2")


def test_a_process_that_is_gone(tmp_path, leases):
    with leases.acquire("0" * 16):
        holder = leases.read("0" * 16)
    with leases.lock():
        leases.write("0" * 16, replace(holder, born="1"))
    assert look(tmp_path) == []


def test_the_folder_of_a_killed_launch_on_a_cluster_goes(tmp_path):
    folder = tmp_path / ".cluster-x1y2"
    folder.mkdir()
    (folder / "key.pem").write_text("key")
    (found,) = waste(tmp_path, False, lambda text: None)
    assert (found.path, found.bytes) == (folder, 3) and "killed" in found.why
    remove(Store(tmp_path), found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_tuner_keeps_the_saves_of_its_trials(tmp_path):
    file, runs = tmp_path / "searched.yaml", tmp_path / "runs"
    file.write_text(search_spec("searched", 2, epochs=500, steps=10))
    tuner = subprocess.Popen(
        command("tune", file, "--runs", runs, "--device", "cpu", "--jobs", 1),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: Store(runs).leases.holders() or tuner.poll() is not None, 60, "a stage at work")
        pruned = dfcil("store", "--runs", runs, "prune", folder=tmp_path)
        assert pruned.returncode == 2 and f"process {tuner.pid} on " in pruned.stderr
        assert "is at work on the study 'searched-" in pruned.stderr
    finally:
        tuner.terminate()
        tuner.wait(60)
    assert dfcil("store", "--runs", runs, "prune", folder=tmp_path).returncode == 0
