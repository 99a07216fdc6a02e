"""A worker elsewhere reads the first model by its path, and takes no other file for the one that was planned."""

from dataclasses import replace

import pytest

from orchestrator.cluster.select import Scheduler
from orchestrator.engine.engine import run
from orchestrator.launch import run_options
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store.store import Store
from tests.cluster.test_remote import address  # noqa: F401  # a fixture
from tests.spec.test_first_model import HEAD, saved
from tests.support.dasked import running, worker_command


@pytest.mark.long
def test_a_worker_elsewhere_compares_the_file_with_the_plan(tmp_path, address):  # noqa: F811
    first = saved(tmp_path / "first", 0)
    read = parse_spec(f"{HEAD}first_model: {first}\nmethods: [base]\ntasks: [2]\nseeds: [0]\n", "x.yaml")
    plan, store = make_plan(read), Store(tmp_path / "runs")
    options = replace(run_options(read, "cpu", 1, 1), elsewhere=Scheduler(address))
    with running(worker_command(address), tmp_path / "worker.log"):
        saved(first, 1)
        outcome = run(plan, store, options, lambda event: None)
        (failure,) = outcome.failed.values()
        assert failure.error.startswith(
            f"dfcil_core.errors.MissingData: the first model {first} is another file than when the sweep"
        )
        first.unlink()
        (failure,) = run(plan, store, options, lambda event: None).failed.values()
        assert failure.error.startswith(
            f"dfcil_core.errors.MissingData: the first model {first} cannot be read here: No such file"
        )
        saved(first, 0)
        outcome = run(plan, store, options, lambda event: None)
    assert outcome.failed == {} and outcome.done == 2
    assert all(store.has(stage) for stage in plan.stages.values())
