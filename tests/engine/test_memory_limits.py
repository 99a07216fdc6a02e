"""Out of memory beside others: tried again with fewer neighbours."""

import sqlite3
import subprocess

import pytest

from orchestrator.engine.engine import run
from orchestrator.engine.events import StageOutOfMemory, StageRetried
from orchestrator.engine.memory_limits import MemoryLimits
from orchestrator.store.store import Store
from tests.support.fake_stages import make_options, make_plan, make_stage
from tests.support.launched import command, environment


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def go(store, tmp_path, fits, workers):
    (tmp_path / "notes").mkdir()
    stages = [make_stage(f"s{n}", fits=fits, notes=str(tmp_path / "notes")) for n in range(4)]
    events = []
    outcome = run(make_plan(*stages), store, make_options(workers=workers), events.append)
    return stages, outcome, events


@pytest.mark.long
@pytest.mark.parametrize("fits", [1, 2])
def test_a_device_that_holds_fewer_is_given_fewer(fits, store, tmp_path):
    stages, outcome, events = go(store, tmp_path, fits, workers=3)
    assert outcome.done == 4 and not outcome.failed
    assert all(store.whole(stage) for stage in stages)
    warned = [event for event in events if isinstance(event, StageOutOfMemory)]
    assert warned and min(event.most for event in warned) <= 2
    assert not [event for event in events if isinstance(event, StageRetried)]  # no attempt was counted


@pytest.mark.long
def test_a_stage_that_fails_alone_too_has_failed(store, tmp_path):
    stages, outcome, _ = go(store, tmp_path, fits=0, workers=2)
    assert outcome.failed.keys() == {stage.key for stage in stages}
    for failure in outcome.failed.values():
        assert "CUDA out of memory" in failure.error and "no other stage beside it" in failure.error


def test_sharing_is_the_most_that_were_there_at_a_time():
    limits = MemoryLimits()
    for worker in "abc":
        limits.begin(worker)
        limits.learn(worker, "GPU 0")
    assert limits.end("a") == 3
    limits.begin("a")
    assert limits.end("b") == 3 and limits.end("a") == 3 and limits.end("c") == 3
    limits.begin("c")
    assert limits.end("c") == 1


def test_each_device_has_its_own_limit():
    limits = MemoryLimits()
    for worker, place in (("a", "GPU 0"), ("b", "GPU 0"), ("c", "GPU 1"), ("d", "GPU 1")):
        limits.begin(worker)
        limits.learn(worker, place)
    assert limits.lower("a", limits.end("a"), "big") == 1
    assert not limits.has_room("a")  # b is there
    limits.end("b")
    assert limits.has_room("a") and limits.has_room("c") and limits.has_room("never seen")
    limits.begin("a")
    assert not limits.has_room("b")
    assert limits.lower("a", 5, "small") == 1  # what was learnt is not forgotten
    assert not limits.has_room("never seen")  # it may be at GPU 0
    limits.forget("big")  # it does not fit alone either
    assert limits.has_room("b") and limits.has_room("never seen")


def test_a_worker_that_has_not_said_where_it_is_fills_every_place():
    limits = MemoryLimits()
    for worker in "ab":
        limits.begin(worker)
        limits.learn(worker, "here")
    assert limits.lower("a", limits.end("a"), "a's") == 1
    limits.end("b")
    limits.begin("instead of a")
    assert not limits.has_room("b")
    limits.learn("instead of a", "elsewhere")
    assert limits.has_room("b")


def test_kills_of_the_kernel_are_told_once(monkeypatch):
    killed = [3]
    monkeypatch.setattr("orchestrator.engine.memory_limits.processes_killed_for_memory", lambda: killed[0])
    limits = MemoryLimits()
    assert not limits.killed_for_memory()
    killed[0] = 4
    assert limits.killed_for_memory() and not limits.killed_for_memory()


PLUGIN = '''
"""Finetuning on a device that holds one stage, a second one being whoever has a file in SHARED_DEVICE."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from dfcil_core.lazy import functional
from dfcil_core.methods.base import Method


@dataclass(frozen=True)
class HungrySettings:
    __pydantic_config__ = {"extra": "forbid"}


class Hungry(Method):
    """`CE(z[:seen], y)`."""

    name = "hungry"
    summary = "takes all there is"
    source = "none"
    settings_type = HungrySettings

    def loss(self, context, batch):
        import torch

        inside = Path(os.environ["SHARED_DEVICE"]) / str(os.getpid())
        inside.touch()
        try:
            time.sleep(1)
            if len(list(inside.parent.iterdir())) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        finally:
            inside.unlink()
        return functional.cross_entropy(context.student(batch.images)[:, : context.n_seen], batch.labels)
'''
HUNGRY = """\
name: hungry
dataset: {name: synthetic, classes: 4, train_per_class: 4, test_per_class: 2, image_size: 8}
methods: [hungry]
tasks: [2]
seeds: [0, 1]
training: {backbone: resnet8, epochs: 2, batch_size: 8}
"""


@pytest.mark.long
def test_a_launch_whose_stages_do_not_fit_beside_each_other_ends_finished(tmp_path):
    spec, plugin, device = tmp_path / "s.yaml", tmp_path / "hungry.py", tmp_path / "device"
    spec.write_text(HUNGRY)
    plugin.write_text(PLUGIN)
    device.mkdir()
    line = command("launch", spec, "--plugin", plugin, "--runs", tmp_path / "runs", "--device", "cpu", "--jobs", 2)
    ours = {**environment(), "SHARED_DEVICE": str(device)}
    done = subprocess.run(line, cwd=tmp_path, env=ours, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "learn 2 · hungry" in done.stdout
        and "ran out of memory beside others; started again, 1 at a time" in done.stdout
    )
    assert "hungry: 2 of 2 jobs done; 4 stages run, 0 reused" in done.stdout
    with sqlite3.connect(tmp_path / "runs" / "mlflow.db") as database:
        assert {status for (status,) in database.execute("select status from runs")} == {"FINISHED"}
