"""The engine with a Dask scheduler and workers that others have started."""

import socket

import pytest

from orchestrator.cluster.select import Scheduler
from orchestrator.engine.engine import run
from orchestrator.engine.events import StageFinished, StageMoved, StageStarted
from orchestrator.errors import UserError
from orchestrator.store.store import Store
from tests.engine.test_faults import in_own_mounts
from tests.support.clustered import free_port
from tests.support.dasked import running, scheduler_command, worker_command
from tests.support.fake_stages import make_options, make_plan, make_stage
from tests.support.processes import wait_until


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "shared" / "runs", lease_timeout=3)


@pytest.fixture
def address(tmp_path):
    port = free_port()
    told = scheduler_command("--host", "127.0.0.1", "--port", port)

    def answers():
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", port)) == 0

    with running(told, tmp_path / "scheduler.log"):
        wait_until(answers, 30, "the scheduler")
        yield f"tcp://127.0.0.1:{port}"


def go(store, address, *stages, **options):
    events = []
    told = make_options(elsewhere=Scheduler(address), lease_timeout=3, **options)
    return run(make_plan(*stages), store, told, events.append), events


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.long
def test_a_worker_whose_time_is_over_costs_its_stage_no_attempt(store, address, tmp_path):
    """With a single attempt: a death would be the end of the stage."""
    short = worker_command(address, "--name", "short", "--lifetime", "4s")
    long = worker_command(address, "--name", "long")
    quick, slow = make_stage("quick"), make_stage("slow", sleep=8)
    with (
        running(short, tmp_path / "short.log"),
        running(["sh", "-c", 'sleep 6; exec "$@"', "sh", *long], tmp_path / "l"),
    ):
        outcome, events = go(store, address, quick, slow, workers=1, attempts=1)
    assert outcome.failed == {} and store.has(slow)
    assert [event.worker for event in of(events, StageMoved)] == ["short"]
    assert len(of(events, StageFinished)) == 2


def test_no_more_stages_at_a_time_than_asked_for(store, address, tmp_path):
    told = worker_command(address, "--nworkers", 3)
    stages = [make_stage(name, sleep=0.3) for name in "abcd"]
    with running(told, tmp_path / "workers.log"):
        outcome, events = go(store, address, *stages, workers=1)
    assert outcome.done == 4
    kinds = [type(event) for event in events if isinstance(event, StageStarted | StageFinished)]
    assert kinds == [StageStarted, StageFinished] * 4


def test_a_worker_with_another_runs_folder_is_told_apart(store, address, tmp_path):
    store.prepare()
    blind = in_own_mounts('mount -t tmpfs none "$1" && shift && exec "$@"', tmp_path / "shared")
    with (
        running([*blind, *worker_command(address, "--name", "blind")], tmp_path / "blind.log"),
        pytest.raises(UserError, match=f"the worker blind on {socket.gethostname()} does not see the runs folder"),
    ):
        go(store, address, make_stage("a"))
    assert [path for path in store.runs.iterdir() if path.name.startswith(".cluster-")] == []


def test_a_scheduler_that_does_not_answer(store, monkeypatch):
    monkeypatch.setattr("orchestrator.cluster.remote._CONNECT_SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UserError, match=f"no Dask scheduler answers at {address} within 1 seconds"):
        go(store, address, make_stage("a"))
