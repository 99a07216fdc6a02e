"""Faults that are caused for real: a full disk, no memory, a clock that jumps, a stage cut short."""

import json
import os
import subprocess
import sys
import time

import pytest

from orchestrator.engine.engine import run
from orchestrator.store.lease import Held, Watch
from orchestrator.store.store import Store
from tests.support.fake_stages import make_options, make_plan, make_stage
from tests.support.mounts import in_own_mounts
from tests.support.paths import SUPPORT
from tests.support.processes import wait_until

FULL_DISK = SUPPORT / "fake_full_disk.py"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs", lease_timeout=0.6)


def go(store, *stages, **options):
    return run(make_plan(*stages), store, make_options(**options), lambda event: None)


def test_a_full_disk_fails_the_stage_that_met_it_and_the_next_launch_does_it(tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1"'
    done = subprocess.run(
        in_own_mounts(script, runs, sys.executable, FULL_DISK), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["full"]["done"] == 1 and told["full"]["blocked"] == 1
    (error,) = told["full"]["errors"]
    assert "No space left on device" in error
    assert told["full"]["left"] == []
    assert told["roomy"] == {"done": 2, "reused": 1}


def test_a_stage_without_memory_fails_and_its_worker_goes_on(store):
    hog, good = make_stage("hog", hog=1 << 40), make_stage("good")
    outcome = go(store, hog, good, workers=1)
    (failure,) = outcome.failed.values()
    assert failure.stage == hog and "MemoryError" in failure.error and "bytearray(count)" in failure.traceback
    assert outcome.done == 1 and store.has(good)


def test_a_clock_that_jumps_takes_no_lease_away(store, monkeypatch):
    """A day forward, a day back, with every look."""
    store.prepare()
    stage, real, jumps = make_stage("a"), time.time, [0]

    def jumping():
        jumps[0] += 1
        return real() + (86400 if jumps[0] % 2 else -86400)

    monkeypatch.setattr("time.time", jumping)
    watch, end = Watch(lease_timeout=0.6), time.monotonic() + 1.5
    with store.leases.acquire(stage.key) as lease:
        while time.monotonic() < end:
            jumping()
            assert not watch.is_stale(stage.key, store.leases.read(stage.key))
            with pytest.raises(Held):
                store.leases.acquire(stage.key)
            time.sleep(0.05)
        lease.require()
    assert jumps[0] > 10


@pytest.mark.parametrize("kept", [0, 3])
def test_a_truncated_file_of_a_parent_is_made_anew_and_the_numbers_are_the_same(store, kept):
    parent = make_stage("parent")
    go(store, parent)
    file = store.folder(parent) / "value.txt"
    os.truncate(file, kept)
    outcome = go(store, parent, child := make_stage("child", parent))
    assert outcome.failed == {} and store.record(child)["value"] == "parentchild"
    assert file.read_text() == "parent"


def test_what_failed_before_is_left_alone_and_what_needs_it_is_blocked(store, tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    bad = make_stage("bad", notes=str(notes), **{"raise": "no"})
    below, good = make_stage("below", bad), make_stage("good")
    first = go(store, bad, below)
    plan = make_plan(bad, below, good)
    again = run(plan, store, make_options(), lambda event: None, first.failed)
    assert (again.done, again.failed, again.blocked) == (1, first.failed, {below.key})
    assert len((notes / "bad").read_text().splitlines()) == 1
    # With nothing else to do no cluster comes up at all.
    third = run(plan, store, make_options(), lambda event: None, first.failed)
    assert (third.done, third.reused, third.blocked) == (0, 1, {below.key})


@pytest.mark.long
def test_a_launcher_killed_while_mlflow_makes_its_tables_leaves_none_behind(tmp_path):
    from tests.support.launched import SPEC, command, dfcil, environment

    spec, runs = tmp_path / "s.yaml", tmp_path / "runs"
    spec.write_text(SPEC.replace("base, abd, rehearsal", "base"))
    arguments = ("launch", spec, "--runs", runs, "--device", "cpu", "--jobs", 1)
    launcher = subprocess.Popen(command(*arguments), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL)
    draft = runs / ".mlflow.db.new"
    wait_until(lambda: draft.exists() and draft.stat().st_size > 0, 60, "MLflow at its tables")
    launcher.kill()
    launcher.wait()
    assert not (runs / "mlflow.db").exists()
    again = dfcil(*arguments, folder=tmp_path)
    assert again.returncode == 0 and again.stderr == ""
    assert (runs / "mlflow.db").exists() and not draft.exists()
