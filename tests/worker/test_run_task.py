"""What a worker does with a stage, without a cluster: what it says, and what it leaves in the store."""

import errno
import io
import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from orchestrator.engine.options import Options
from orchestrator.files import Unreadable
from orchestrator.store.record import same_result
from orchestrator.store.store import Store
from orchestrator.worker import messages
from orchestrator.worker.run_task import StageTask, run_task
from tests.support import fake_runner
from tests.support.fake_stages import RUNNER, make_stage


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """The real look-up would leave torch, if another test has loaded it, with one thread."""
    found = SimpleNamespace(Execution=fake_runner.Execution), fake_runner.run_stage
    monkeypatch.setattr("orchestrator.worker.run_task.runner", lambda name: found)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs", lease_timeout=1)
    store.prepare()
    return store


def task_of(store, stage, **parents):
    return StageTask(
        recipe=stage.recipe.to_json(),
        key=stage.key,
        folders={role: parent.folder for role, parent in parents.items()},
        runs=str(store.runs),
        attempt=1,
        again=False,
        recompute=False,
        device="cpu",
        data_root=None,
        first_models={},
        plugin=None,
        save_every=60.0,
        lease_timeout=1.0,
        runner=RUNNER,
        stale=None,
        topic="topic",
        attempt_id="attempt-1",
    )


def said_of(task):
    """All that is said, the end last."""
    said = []
    end = run_task(task, said.append)
    return [*said, end]


def left(store):
    return [path.name for path in store.stages.iterdir() if path.name.startswith((".work", ".lease"))]


def test_a_stage_is_begun_reported_and_committed_and_then_reused(store):
    stage = make_stage("a")
    started, progress, done = said_of(task_of(store, stage))
    assert isinstance(started, messages.Started) and started.place
    assert progress == messages.Progress({"phase": "learn", "epoch": 1, "epochs": 1, "loss": 0.5})
    assert done == messages.Done(reused=False) and store.record(stage)["value"] == "a"
    assert said_of(task_of(store, stage)) == [messages.Done(reused=True)]
    assert left(store) == []


def test_whether_steps_are_captured_is_told_and_what_came_of_it_is_recorded(store):
    stage = make_stage("a")
    options = Options(1, runner=RUNNER, capture="auto")
    told = options.told_to_workers()
    assert told["capture"] == "auto"
    said_of(replace(task_of(store, stage), **told))
    recorded = store.record(stage)
    assert recorded["capture"] == {"learn": "eager: nothing is learnt"}
    bare = {name: part for name, part in recorded.items() if name != "capture"}
    assert same_result(recorded, bare)


def test_a_stage_that_another_launcher_holds_is_left_alone(store):
    stage = make_stage("a")
    with store.leases.acquire(stage.key):
        assert said_of(task_of(store, stage)) == [messages.Held()]
    assert not store.has(stage)


def test_a_failure_is_told_with_its_traceback_and_whether_it_was_memory(store):
    _, failed = said_of(task_of(store, make_stage("bad", **{"raise": "no such thing"})))
    assert (failed.error, failed.memory) == ("ValueError: no such thing", False)
    assert 'raise ValueError(settings["raise"])' in failed.traceback
    _, hungry = said_of(task_of(store, make_stage("hog", hog=1 << 40)))
    assert isinstance(hungry, messages.Failed) and hungry.memory
    assert left(store) == []


def test_a_damaged_parent_is_named_before_anything_runs(store):
    parent = make_stage("parent")
    child = make_stage("child", parent)
    said_of(task_of(store, parent))
    (store.folder(parent) / "value.txt").write_text("altered")
    _, damaged = said_of(task_of(store, child, model=parent))
    assert damaged.parent == parent.key and "value.txt" in damaged.reason
    assert not store.has(child)


def test_a_runs_folder_that_is_another_one_is_told_apart(store, tmp_path):
    task = replace(task_of(store, make_stage("a")), probe=str(tmp_path / "not-here"))
    (told,) = said_of(task)
    assert isinstance(told, messages.WrongRunsFolder) and told.host


def test_a_recipe_that_changes_on_its_way_is_refused(store):
    task = replace(task_of(store, make_stage("a")), key=make_stage("b").key)
    with pytest.raises(RuntimeError, match="on its way to the worker"):
        run_task(task, lambda message: None)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE], ids=errno.errorcode.get)
def test_a_parent_that_cannot_be_read_is_not_called_damaged(store, monkeypatch, number):
    """The stage fails with the name of the file, and the parent stays."""
    parent = make_stage("a")
    child = make_stage("b", parent)
    said_of(task_of(store, parent))
    real = io.open

    def refused(path, *rest, **named):
        if str(path).endswith("value.txt"):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *rest, **named)

    monkeypatch.setattr("io.open", refused)
    with pytest.raises(Unreadable, match=rf"value\.txt: cannot be read: {os.strerror(number)}"):
        said_of(task_of(store, child, model=parent))
    monkeypatch.undo()
    assert store.whole(parent) and not store.has(child) and left(store) == []
