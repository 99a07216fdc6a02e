"""Leases: one holder at a time, the dead and the silent taken over, no clock compared."""

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.store.lease import Held, LeaseLost, Leases, Watch
from orchestrator.store.store import Store
from tests.support.fake_stages import make_stage
from tests.support.paths import SUPPORT
from tests.support.processes import wait_until

WRITER = SUPPORT / "fake_writer.py"
STAGE = make_stage("a")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs", lease_timeout=0.6)
    store.prepare()
    return store


@contextmanager
def writer(store, lease_timeout=0.6):
    """Another process, which holds the lease on STAGE."""
    command = [sys.executable, WRITER, store.runs, "a", str(lease_timeout)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_a_living_holder_is_left_alone(store):
    with writer(store) as other:
        with pytest.raises(Held) as held:
            store.leases.acquire(STAGE.key)
        assert held.value.holder.pid == other.pid
        assert not held.value.holder.dead()


def test_a_lease_given_back_is_free(tmp_path):
    leases = Leases(tmp_path)
    with leases.acquire("k" * 64) as first:
        assert leases.read("k" * 64).token == first.token
        first.require()
    assert leases.read("k" * 64) is None
    with leases.acquire("k" * 64) as second:
        assert second.token != first.token
        assert second.previous is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ESTALE])
def test_a_lease_that_cannot_be_given_back_costs_a_line_and_grows_stale(store, monkeypatch, capsys, number):
    def refuse(path, **options):
        raise OSError(number, os.strerror(number), str(path))

    with store.leases.acquire(STAGE.key):
        monkeypatch.setattr(Path, "unlink", refuse)
    told = capsys.readouterr().err
    assert told.startswith(f"warning: the lease on {STAGE.key[:16]} stays until it is stale: ")
    assert os.strerror(number) in told and told.count("\n") == 1
    monkeypatch.undo()
    holder, watch = store.leases.read(STAGE.key), Watch(lease_timeout=0.6)
    wait_until(lambda: watch.is_stale(STAGE.key, holder), 30, "the lease to grow stale")
    with store.leases.acquire(STAGE.key, holder):
        pass


def test_the_lease_of_a_killed_process_is_free_at_once(store):
    with writer(store, lease_timeout=60) as other:
        other.kill()
        # Not waited for: it is a zombie, which is dead.
        wait_until(lambda: store.leases.read(STAGE.key).dead(), 30, "the death seen")
        before = store.leases.read(STAGE.key)
        with store.leases.acquire(STAGE.key) as lease:
            assert lease.previous == before.token


def test_a_process_number_given_to_another_process_is_not_the_holder(store):
    with writer(store) as other:
        holder = store.leases.read(STAGE.key)
        assert not holder.dead()
        assert replace(holder, born="1").dead(), "the process with this number is a later one"
        assert not replace(holder, born="1", place="elsewhere").dead(), "of another machine nothing is known"
        assert other.poll() is None


def test_a_silent_holder_is_taken_over_and_cannot_commit_any_more(store):
    watch = Watch(lease_timeout=0.6)
    with writer(store) as other:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert not watch.is_stale(STAGE.key, store.leases.read(STAGE.key)), "its heart beats"
            time.sleep(0.02)
        other.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        while not watch.is_stale(STAGE.key, holder := store.leases.read(STAGE.key)):
            assert time.monotonic() < start + 30
            time.sleep(0.02)
        assert time.monotonic() - start >= 0.5
        assert not holder.dead()
        with store.leases.acquire(STAGE.key, stale=holder) as lease:
            other.send_signal(signal.SIGCONT)
            other.stdin.write("commit\n")
            other.stdin.flush()
            assert other.stdout.readline() == "lost\n"
            assert other.wait(30) == 0
            lease.require()  # the loser has not given our lease back
        assert not store.has(STAGE)


def test_a_holder_that_has_moved_since_is_not_taken_over(store):
    with writer(store):
        seen = store.leases.read(STAGE.key)
        while store.leases.read(STAGE.key) == seen:
            time.sleep(0.01)
        with pytest.raises(Held):
            store.leases.acquire(STAGE.key, stale=seen)


def test_a_heartbeat_finds_out_that_the_lease_is_lost(store):
    ours = store.leases.acquire(STAGE.key)
    with ours, store.leases.acquire(STAGE.key, stale=store.leases.read(STAGE.key)):
        wait_until(lambda: ours.lost, 30, "the loss noticed")
        with pytest.raises(LeaseLost):
            ours.require()


def test_silence_is_measured_by_the_observers_clock_alone(store):
    now = [1000.0]
    watch = Watch(lease_timeout=30, clock=lambda: now[0])
    with store.leases.acquire(STAGE.key):
        holder = store.leases.read(STAGE.key)
    assert not watch.is_stale(STAGE.key, holder), "at first sight nothing is old, whatever any clock says"
    now[0] += 29
    assert not watch.is_stale(STAGE.key, holder)
    now[0] += 1
    assert watch.is_stale(STAGE.key, holder)
    assert not watch.is_stale(STAGE.key, replace(holder, beat=holder.beat + 1)), "any change is life"
    now[0] += 29
    assert not watch.is_stale(STAGE.key, replace(holder, beat=holder.beat + 1))


def test_of_many_processes_one_gets_the_lease(store):
    command = [sys.executable, WRITER, store.runs, "a"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    others = [subprocess.Popen(command, **pipes) for _ in range(5)]
    try:
        first_words = [other.stdout.readline() for other in others]
    finally:
        for other in others:
            other.kill()
    errors = [other.communicate()[1] for other in others]
    assert sorted(first_words) == ["", "", "", "", "ready\n"]
    assert sum("Held" in error for error in errors) == 4


def test_a_lease_cut_short_by_a_crash_of_the_machine_is_free(store):
    store.leases.path(STAGE.key).write_text('{"token": "')
    with store.leases.acquire(STAGE.key) as lease:
        lease.require()
