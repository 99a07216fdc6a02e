"""Out of memory beside others: tried again with fewer neighbours."""

import pytest
from fake_stages import make_options, make_plan, make_stage

from orchestrator.crowding import Crowding, out_of_memory, processes_killed_for_memory
from orchestrator.engine import run
from orchestrator.events import StageCrowded, StageRetried
from orchestrator.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def go(store, tmp_path, fits, workers):
    (tmp_path / "notes").mkdir()
    stages = [make_stage(f"s{n}", fits=fits, notes=str(tmp_path / "notes")) for n in range(4)]
    events = []
    outcome = run(make_plan(*stages), store, make_options(workers=workers), events.append)
    return stages, outcome, events


@pytest.mark.parametrize("fits", [1, 2])
def test_a_device_that_holds_fewer_is_given_fewer(fits, store, tmp_path):
    stages, outcome, events = go(store, tmp_path, fits, workers=3)
    assert outcome.done == 4 and not outcome.failed
    assert all(store.whole(stage) for stage in stages)
    crowded = [event for event in events if isinstance(event, StageCrowded)]
    assert crowded and min(event.most for event in crowded) <= 2
    assert not [event for event in events if isinstance(event, StageRetried)]  # no attempt was counted


def test_a_stage_that_fails_alone_too_has_failed(store, tmp_path):
    stages, outcome, _ = go(store, tmp_path, fits=0, workers=2)
    assert outcome.failed.keys() == {stage.key for stage in stages}
    for failure in outcome.failed.values():
        assert "CUDA out of memory" in failure.error and "no other stage beside it" in failure.error


def test_the_crowd_is_the_most_that_were_there_at_a_time():
    crowding = Crowding()
    for worker in "abc":
        crowding.begin(worker)
        crowding.learn(worker, "GPU 0")
    assert crowding.end("a") == 3
    crowding.begin("a")
    assert crowding.end("b") == 3 and crowding.end("a") == 3 and crowding.end("c") == 3
    crowding.begin("c")
    assert crowding.end("c") == 1


def test_each_device_has_its_own_limit():
    crowding = Crowding()
    for worker, place in (("a", "GPU 0"), ("b", "GPU 0"), ("c", "GPU 1"), ("d", "GPU 1")):
        crowding.begin(worker)
        crowding.learn(worker, place)
    assert crowding.thin("a", crowding.end("a")) == 1
    assert not crowding.room("a")  # b is there
    crowding.end("b")
    assert crowding.room("a") and crowding.room("c") and crowding.room("never seen")
    crowding.begin("a")
    assert not crowding.room("b")
    assert crowding.thin("a", 5) == 1  # what was learnt is not forgotten


def test_what_counts_as_out_of_memory():
    import torch

    with pytest.raises(RuntimeError) as caught:  # what torch really raises on a CPU
        torch.empty(1 << 50)
    for error in (MemoryError(), torch.OutOfMemoryError("x"), caught.value, RuntimeError("CUDA error: out of memory")):
        assert out_of_memory(error)
    for error in (RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("memory")):
        assert not out_of_memory(error)


def test_kills_of_the_kernel_are_counted(monkeypatch, tmp_path):
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 7\noom_kill 3\nnr_free 1\n")
    monkeypatch.setattr("orchestrator.crowding._VMSTAT", counts)
    assert processes_killed_for_memory() == 3
    crowding = Crowding()
    assert not crowding.killed_for_memory()
    counts.write_text("oom_kill 4\n")
    assert crowding.killed_for_memory() and not crowding.killed_for_memory()
