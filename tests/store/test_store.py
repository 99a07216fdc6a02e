"""The store: stages whole or not at all, damage found, leftovers cleared."""

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.store.lease import LeaseLost
from orchestrator.store.stage_folder import DamagedStage, check
from orchestrator.store.store import Store
from tests.support.fake_stages import make_stage
from tests.support.paths import SUPPORT
from tests.support.sound_records import told

WRITER = SUPPORT / "fake_writer.py"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs")
    store.prepare()
    return store


def commit(store, stage, content="one", **record):
    with store.leases.acquire(stage.key) as lease:
        work = store.work(stage, lease)
        (work / "value.txt").write_text(content)
        (work / "deep").mkdir()
        (work / "deep" / "empty").touch()
        return store.commit(stage, work, {**told(stage.recipe), **record}, lease)


def hidden(store):
    return sorted(path.name for path in store.stages.iterdir() if path.name.startswith(".") and path.name != ".lock")


def test_making_a_store_writes_nothing(tmp_path):
    store, stage = Store(tmp_path / "runs"), make_stage("a")
    assert not store.has(stage)
    assert store.record(stage) is None
    assert store.records([stage]) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_committed_stage_has_its_recipe_its_record_and_its_files(store):
    stage = make_stage("a")
    assert commit(store, stage, value=3)
    folder = store.folder(stage)
    assert folder.name == stage.folder
    assert json.loads((folder / "stage.json").read_text()) == json.loads(json.dumps(stage.recipe.to_json()))
    record = store.record(stage)
    assert record["key"] == stage.key
    assert (record["kind"], record["task"], record["folder"]) == ("learn", 1, stage.folder)
    assert record["value"] == 3
    assert record["files"] == {
        "deep/empty": {"sha256": hashlib.sha256().hexdigest(), "bytes": 0},
        "value.txt": {"sha256": hashlib.sha256(b"one").hexdigest(), "bytes": 3},
    }
    assert check(folder, stage.key) == record
    assert store.records([make_stage("b"), stage]) == {stage.key: record}
    assert hidden(store) == []


def test_the_first_commit_stands(store):
    stage = make_stage("a")
    assert commit(store, stage, "first")
    assert not commit(store, stage, "second")
    assert (store.folder(stage) / "value.txt").read_text() == "first"
    assert hidden(store) == []


def test_of_many_commits_at_once_one_is_first(store):
    stage = make_stage("a")

    def race(number):
        work = store.stages / f".work-{number}"
        work.mkdir()
        (work / "value.txt").write_text(str(number))
        return store.commit(stage, work, {**told(stage.recipe), "number": number})

    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(race, range(8)))
    assert first.count(True) == 1
    assert store.record(stage)["number"] == first.index(True)
    assert check(store.folder(stage), stage.key)


def test_a_record_with_nan_is_refused(store):
    with pytest.raises(ValueError, match="finite"):
        commit(store, make_stage("a"), loss=float("nan"))
    assert not store.has(make_stage("a"))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "value.txt").write_text("two"), "value.txt is not as it was written (another SHA"),
        (lambda folder: (folder / "value.txt").write_text("o"), "1 bytes instead of 3"),
        (lambda folder: (folder / "deep" / "empty").unlink(), "deep/empty cannot be read: No such file"),
        (lambda folder: (folder / "record.json").write_text('{"key": '), "record.json: it is no JSON"),
        (lambda folder: (folder / "record.json").write_text("{}"), "record.json: key: Field required"),
        (lambda folder: (folder / "record.json").unlink(), "record.json cannot be read"),
    ],
)
def test_damage_is_found_and_set_aside(store, harm, reason):
    stage = make_stage("a")
    commit(store, stage)
    assert store.set_aside(stage) is None, "a sound stage stays"
    harm(store.folder(stage))
    with pytest.raises(DamagedStage) as damage:
        check(store.folder(stage), stage.key)
    assert reason in damage.value.reason
    aside = store.set_aside(stage)
    assert aside.name == f".damaged-{stage.folder}-1"
    assert not store.has(stage)
    assert store.set_aside(stage) is None
    assert commit(store, stage), "it can be done again"
    harm(store.folder(stage))
    assert store.set_aside(stage).name == f".damaged-{stage.folder}-2"


def test_records_tells_of_one_that_cannot_be_read(store):
    sound, harmed = make_stage("a"), make_stage("b")
    commit(store, sound)
    commit(store, harmed)
    (store.folder(harmed) / "record.json").write_text("")
    with pytest.raises(DamagedStage):
        store.records([sound, harmed])
    told = []
    assert store.records([sound, harmed], lambda *what: told.append(what)).keys() == {sound.key}
    assert [stage for stage, _ in told] == [harmed]


def test_without_its_lease_a_writer_does_not_commit(store):
    stage = make_stage("a")
    ours = store.leases.acquire(stage.key)
    work = store.work(stage, ours)
    theirs = store.leases.acquire(stage.key, stale=store.leases.read(stage.key))
    with pytest.raises(LeaseLost):
        store.commit(stage, work, told(stage.recipe), ours)
    assert not store.has(stage)
    store.work(stage, theirs)
    assert not work.exists(), "whoever takes over removes the work of the one before"
    ours.release()
    theirs.release()


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_kept(store):
    stage, finished = make_stage("a"), make_stage("b")
    commit(store, finished)
    store.saves(finished)
    store.saves(stage)
    command = [sys.executable, WRITER, store.runs, "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout.readline() == "ready\n"
            token = store.leases.read(stage.key).token
            work = f".work-{stage.key[:16]}-{token}"
            store.prepare()
            # The saves of an unfinished stage are kept too: its next writer goes on from them.
            kept = [f".lease-{stage.key[:16]}.json", f".saves-{stage.key[:16]}"]
            assert hidden(store) == sorted([work, *kept])
        finally:
            writer.kill()
    store.prepare()
    assert hidden(store) == kept
    assert commit(store, stage)
    assert hidden(store) == []


def test_what_a_writer_left_that_died_after_its_commit_is_removed(store):
    stage = make_stage("a")
    command = [sys.executable, WRITER, store.runs, "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        writer.kill()
    lease = store.leases.path(stage.key)
    kept = lease.read_bytes()
    commit(store, stage)
    lease.write_bytes(kept)
    (store.stages / f".{lease.name}-0123abcd").write_bytes(kept[:9])  # killed while it wrote its heartbeat
    store.prepare()
    assert hidden(store) == []
