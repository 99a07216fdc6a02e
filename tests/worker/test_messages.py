"""Messages to the launcher: what is sent is what arrives."""

import msgpack
import pytest

from orchestrator.worker import messages
from orchestrator.worker.messages import FromWorker, TaskBroken, from_scheduler, from_wire, to_wire


@pytest.mark.parametrize(
    "message",
    [
        messages.Started(1.5, "GPU 0 of here"),
        messages.Progress({"phase": "learn", "epoch": 1, "loss": 0.5, "parts": {"ce": 0.25}}),
        messages.Done(reused=True),
        messages.Held(),
        messages.Failed("ValueError: no", "Traceback ...", memory=False),
        messages.DamagedParent("0" * 64, "value.txt: is not there"),
        messages.WrongRunsFolder("elsewhere"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_survives_its_way(message):
    told = FromWorker("attempt-1", "worker-0", message)
    wire = msgpack.unpackb(msgpack.packb(to_wire(told)))
    assert from_wire({**wire, "worker": "tcp://127.0.0.1:1"}) == told, "Dask adds the worker's address"


def test_every_message_of_a_worker_can_be_sent():
    assert set(messages._BY_NAME.values()) == set(messages.StageMessage.__args__)


@pytest.mark.parametrize(
    "change",
    [{"message": "Sung"}, {"fields": {"reused": True, "loudly": True}}, {"fields": {}}],
)
def test_a_message_of_another_version_is_told_as_a_broken_task(change):
    wire = to_wire(FromWorker("attempt-1", "worker-0", messages.Done(reused=True)))
    told = from_wire({**wire, **change})
    assert isinstance(told, TaskBroken) and told.attempt_id == "attempt-1"
    assert "nobody here understands" in str(told.error)


def test_what_dask_says_of_the_workers():
    gone = {"action": "remove-worker", "worker": "tcp://a", "processing-tasks": {}}
    assert from_scheduler({"action": "add-worker", "worker": "tcp://a"}) == messages.WorkerJoined("tcp://a")
    assert from_scheduler(gone) == messages.WorkerLost("tcp://a", retired=False)
    assert from_scheduler({**gone, "expected": True}) == messages.WorkerLost("tcp://a", retired=True)
    leaving = {"action": "retire-workers", "retired": [], "could-not-retire": ["tcp://b"]}
    assert from_scheduler(leaving) == messages.WorkersLeaving(("tcp://b",))
    assert from_scheduler({"action": "update-graph"}) is None
