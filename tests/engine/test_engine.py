"""The engine, with real worker processes and stages that learn nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from orchestrator.engine.engine import run
from orchestrator.engine.events import (
    StageDamaged,
    StageFailed,
    StageFinished,
    StageProgress,
    StageRetried,
    StageStarted,
)
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from tests.support.fake_stages import make_options, make_plan, make_stage
from tests.support.paths import SUPPORT
from tests.support.processes import children, session_members, wait_until

LAUNCHER = SUPPORT / "fake_launcher.py"
WRITER = SUPPORT / "fake_writer.py"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield
    assert children() == []
    assert list(scratch.glob("dfcil-sweep-*")) == []


def go(store, stages, **options):
    events = []
    outcome = run(make_plan(*stages), store, make_options(**options), events.append)
    return outcome, events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def names(events):
    return [event.stage.recipe.settings["name"] for event in events]


def runs_of(notes, name):
    """Process and start of each run of a stage."""
    path = notes / name
    return [(int(pid), float(start)) for pid, start in map(str.split, path.read_text().splitlines())]


def hidden(store):
    return [path.name for path in store.stages.iterdir() if path.name.startswith((".work", ".lease", ".saves"))]


@contextmanager
def launcher(store, notes, *arguments):
    """A launcher in a session of its own."""
    command = [sys.executable, LAUNCHER, store.runs, notes, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **pipes)
    try:
        yield process
    finally:
        for pid in session_members(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()


def test_stages_run_side_by_side_parents_first_and_once(store, notes, capfd):
    log = {"notes": str(notes), "sleep": 2.0}
    a0, a1 = make_stage("a0", **log), make_stage("a1", **log, print="hello")
    b0, b1 = make_stage("b0", a0, **log), make_stage("b1", a1, a0, **log)
    outcome, events = go(store, [a0, a1, b0, b1])
    assert (outcome.done, outcome.reused, outcome.failed, outcome.blocked) == (4, 0, {}, set())
    assert store.record(b1)["value"] == "a0a1b1"

    assert sorted(names(of(events, StageStarted))) == sorted(names(of(events, StageFinished)))
    assert {event.worker for event in of(events, StageStarted)} == {"0", "1"}
    assert of(events, StageProgress)[0].info == {"phase": "learn", "epoch": 1, "epochs": 1, "loss": 0.5}
    assert of(events, StageFinished)[0].record == store.record(of(events, StageFinished)[0].stage)
    runs = {name: runs_of(notes, name) for name in ("a0", "a1", "b0", "b1")}
    assert all(len(each) == 1 for each in runs.values())
    ((first, start), (second, other_start)) = runs["b0"][0], runs["b1"][0]
    assert first != second and os.getpid() not in (first, second)
    assert abs(start - other_start) < 2.0, "they overlap"
    assert {pid for each in runs.values() for pid, _ in each} == {first, second}, "workers stay warm"

    record = store.record(a1)
    assert record["threads"] == "1"
    assert record["attempt"] == 1
    assert 0.3 <= record["seconds"] < 30
    assert record["started"] <= record["ended"]
    assert record["provenance"]["versions"]["python"] == sys.version.split()[0]
    printed = store.log(a1).read_text()
    assert "\nhello\n" in printed and "hello from below\n" in printed
    assert hidden(store) == []
    assert capfd.readouterr() == ("", ""), "nothing of Dask or of the stages reaches the terminal"


def test_the_longest_chain_goes_first(store):
    a = make_stage("a")
    b = make_stage("b", a)
    c = make_stage("c", b)
    lone = [make_stage("x"), make_stage("y")]
    _, events = go(store, [*lone, a, b, c], workers=1)
    assert names(of(events, StageStarted)) == ["a", "b", "c", "x", "y"], "the rest in the plan's order"


def test_a_finished_sweep_starts_nothing_and_a_longer_one_reuses_it(store, notes):
    with launcher(store, notes, 2, 0) as first:
        assert json.loads(first.communicate()[0])["done"] == 4
    with launcher(store, notes, 2, 0) as second:
        assert json.loads(second.communicate()[0]) == {"done": 0, "reused": 4, "loaded": []}
    with launcher(store, notes, 3, 0) as longer:
        assert json.loads(longer.communicate()[0]) == {"done": 2, "reused": 4, "loaded": ["distributed"]}


def test_a_failure_blocks_what_needs_it_and_the_rest_goes_on(store, notes):
    bad = make_stage("bad", notes=str(notes), **{"raise": "no such thing"})
    below = make_stage("below", bad)
    lowest = make_stage("lowest", below)
    good = make_stage("good")
    better = make_stage("better", good)
    outcome, events = go(store, [bad, below, lowest, good, better])
    assert outcome.done == 2
    assert outcome.blocked == {below.key, lowest.key}
    (failure,) = of(events, StageFailed)
    assert outcome.failed == {bad.key: failure}
    assert failure.error == "ValueError: no such thing"
    assert 'raise ValueError(settings["raise"])' in failure.traceback
    assert failure.traceback.strip() in failure.log.read_text()
    assert len(runs_of(notes, "bad")) == 1, "what raises would raise again"
    assert not any(name.startswith((".work", ".lease")) for name in hidden(store))
    assert store.has(better) and not store.has(bad)


def test_a_killed_worker_costs_its_own_stage_a_retry_and_no_other_anything(store, notes, capfd):
    log = {"notes": str(notes)}
    killer = make_stage("killer", **log, die=1)
    below = make_stage("below", killer, **log)
    hopeless = make_stage("hopeless", **log, die=9)
    blocked = make_stage("blocked", hopeless, **log)
    innocent = [make_stage(f"i{number}", **log, sleep=0.4) for number in range(6)]
    outcome, events = go(store, [killer, below, hopeless, blocked, *innocent])
    assert outcome.done == 8
    assert len(runs_of(notes, "killer")) == 2
    assert store.record(killer)["attempt"] == 2
    assert sorted(names(of(events, StageRetried))) == ["hopeless", "killer"]
    assert list(outcome.failed) == [hopeless.key]
    assert "died 2 times" in outcome.failed[hopeless.key].error
    assert len(runs_of(notes, "hopeless")) == 2
    assert outcome.blocked == {blocked.key}
    for stage in innocent:
        assert len(runs_of(notes, stage.recipe.settings["name"])) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["value.txt", "record.json"])
def test_a_damaged_stage_is_set_aside_and_done_again_before_its_child(store, notes, name):
    log = {"notes": str(notes)}
    parent = make_stage("parent", **log)
    go(store, [parent], workers=1)
    (store.folder(parent) / name).write_text("altered")
    children = [make_stage(f"child{number}", parent, **log) for number in range(3)]
    outcome, events = go(store, [parent, *children])
    (damage,) = of(events, StageDamaged)
    assert damage.stage == parent and name in damage.reason
    assert (damage.aside / name).read_text() == "altered"
    assert outcome.failed == {} and outcome.blocked == set()
    assert len(runs_of(notes, "parent")) == 2
    assert [store.record(child)["value"] for child in children] == ["parentchild0", "parentchild1", "parentchild2"]
    assert check(store.folder(parent), parent.key)


def test_what_a_listener_raises_ends_the_launch_and_its_workers(store):
    workers = []

    def listen(event):
        workers.extend(children())
        raise LookupError("the tracking store is gone")

    with pytest.raises(LookupError):
        run(make_plan(make_stage("a", sleep=30)), store, make_options(), listen)
    assert len(workers) == 1
    assert children() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process(store, notes, number):
    with launcher(store, notes, 4, 60) as process:
        wait_until(lambda: len(list(notes.iterdir())) == 2, 60, "both workers at work")
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does on Ctrl-C: to the workers too
        else:
            process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        assert process.returncode == 130
        assert (output, errors) == ("", "")
        wait_until(lambda: session_members(process.pid) == [], 20, "all processes gone")
    store.prepare()
    assert not any(name.startswith(".work") for name in hidden(store))


def test_an_interrupt_while_workers_come_up_leaves_no_process(store, notes):
    with launcher(store, notes, 4, 60) as process:
        wait_until(lambda: len(session_members(process.pid)) > 2, 60, "workers on their way")
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (130, "", "")
        wait_until(lambda: session_members(process.pid) == [], 20, "all processes gone")


def test_a_killed_launcher_leaves_no_process_and_the_next_goes_on(store, notes, tmp_path):
    with launcher(store, notes, 1, 0.5, 1) as process:
        wait_until(lambda: (notes / "b0").exists(), 60, "the second stage at work")
        process.kill()
        wait_until(lambda: session_members(process.pid) == [], 20, "all processes gone")
    with launcher(store, notes, 1, 0.5, 1) as process:
        answer = json.loads(process.communicate()[0])
    assert (answer["done"], answer["reused"]) == (1, 1)
    assert (len(runs_of(notes, "a0")), len(runs_of(notes, "b0"))) == (1, 2)
    assert hidden(store) == []


def test_two_launchers_on_one_store_share_the_stages(store, notes):
    with launcher(store, notes, 4, 0.25, 1) as one, launcher(store, notes, 4, 0.25, 1) as two:
        answers = [json.loads(process.communicate()[0]) for process in (one, two)]
    assert [answer["done"] + answer["reused"] for answer in answers] == [8, 8]
    assert sum(answer["done"] for answer in answers) == 8
    assert min(answer["done"] for answer in answers) >= 1, "they share the work"
    assert all(len(runs_of(notes, path.name)) == 1 for path in notes.iterdir())


def test_a_stage_whose_holder_goes_stale_is_taken_over(tmp_path):
    store, stage = Store(tmp_path / "runs", lease_timeout=1), make_stage("a")
    store.prepare()
    command = [sys.executable, WRITER, store.runs, "a", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "ready\n"
            other.send_signal(signal.SIGSTOP)
            start = time.monotonic()
            outcome, _ = go(store, [stage], workers=1, lease_timeout=1)
            assert time.monotonic() - start > 1
            assert outcome.done == 1
            other.send_signal(signal.SIGCONT)
            other.stdin.write("commit\n")
            other.stdin.flush()
            assert other.stdout.readline() == "lost\n"
        finally:
            other.kill()
    assert store.record(stage)["value"] == "a"


@pytest.mark.long
def test_a_worker_that_wakes_up_after_its_stage_was_taken_over_commits_nothing(store, notes):
    with launcher(store, notes, 1, 0.5, 1, 1) as one:
        wait_until(lambda: (notes / "a0").exists() and runs_of(notes, "a0"), 60, "the first stage at work")
        sleeper = runs_of(notes, "a0")[0][0]
        os.kill(sleeper, signal.SIGSTOP)
        with launcher(store, notes, 1, 0.5, 1, 1) as two:
            assert json.loads(two.communicate()[0])["done"] == 2
        before = [path.stat().st_ino for path in sorted(store.stages.glob("fake-*"))]
        os.kill(sleeper, signal.SIGCONT)
        answer = json.loads(one.communicate()[0])
    assert (answer["done"], answer["reused"]) == (0, 2)
    assert [path.stat().st_ino for path in sorted(store.stages.glob("fake-*"))] == before
    assert hidden(store) == []


def test_a_runner_that_cannot_be_imported_is_a_failure_with_its_traceback(store):
    outcome, _ = go(store, [make_stage("a")], workers=1, runner="no_such_module:run")
    (failure,) = outcome.failed.values()
    assert "No module named 'no_such_module'" in failure.error
