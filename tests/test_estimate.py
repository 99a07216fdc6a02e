"""The time of a whole plan: by what its stages took, shared out over workers."""

import tempfile

import pytest

from orchestrator.estimate import Estimate, _Clock, estimate
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from tests.support.fabricated import sweep

SPEC = """\
name: s
dataset: {name: digits, image_size: 8}
methods: [base, rehearsal]
tasks: [5, 2]
seeds: [0]
training: {epochs: 3, backbone: resnet8, batch_size: 32}
memory: 50
"""


def test_stages_take_as_long_as_finished_ones_by_their_images():
    plan = make_plan(parse_spec(SPEC, "s"))
    base = next(job for job in plan.jobs if job.slug == "base-5-s0")
    rehearsal = next(job for job in plan.jobs if job.slug == "rehearsal-2-s0")
    # digits has 1,437 training images of 10 classes. An image a millisecond, two with rehearsal; choosing one, a tenth.
    records = {
        base.stages[0]: {"seconds": 3 * 2 * 143.7 / 1000},
        base.stages[1]: {"seconds": 3 * 2 * 143.7 / 1000},
        rehearsal.stages[1]: {"seconds": 5 * 143.7 / 10_000},
        rehearsal.stages[2]: {"seconds": 3 * (2 * 5 * 143.7) * 2 / 1000},  # as many old images are drawn
    }
    found = estimate(plan, records)
    assert (found.recorded, found.calibrated) == (4, 0)
    of = {job.slug: [found.seconds[key] for key in job.stages] for job in plan.jobs}
    assert of["base-2-s0"] == pytest.approx([3 * 5 * 0.1437, 3 * 5 * 0.1437])
    assert of["rehearsal-5-s0"][2] == pytest.approx(3 * (2 * 2 * 143.7) * 2 / 1000)
    assert of["rehearsal-5-s0"][1] == pytest.approx(2 * 143.7 / 10_000)


@pytest.mark.parametrize(("memory", "second", "third"), [(50, 50, 50), (5000, 2 * 143.7, 4 * 143.7)])
def test_a_memory_that_is_gone_through_has_no_more_images_than_there_were(memory, second, third):
    plan = make_plan(parse_spec(SPEC.replace("[base, rehearsal]", "[e2e]").replace("50", str(memory)), "s"))
    e2e = next(job for job in plan.jobs if job.slug == "e2e-5-s0")
    first, later = e2e.learn[0], e2e.learn[1:]
    records = {first: {"seconds": 1.0}, later[0]: {"seconds": 3 * (2 * 143.7 + second) / 1000}}
    records |= {key: {"seconds": 1.0} for key in e2e.stages if plan.stages[key].recipe.kind == "remember"}
    found = estimate(plan, records)
    assert found.seconds[later[1]] == pytest.approx(3 * (2 * 143.7 + third) / 1000)


def test_shared_stages_count_once_and_a_job_alone_does_all_of_its_own():
    plan = sweep(methods=("base", "lwf"), seeds=(0,), splits=((5, 5),))  # they share the first of their two stages
    found = Estimate(plan, dict.fromkeys(plan.stages, 10.0), 1, 0)
    assert [found.planned(workers) for workers in (1, 2, 8)] == [30.0, 20.0, 20.0]
    assert [found.alone(workers) for workers in (1, 2, 8)] == [40.0, 20.0, 20.0]


def test_a_first_epoch_counts_as_long_as_those_after_it_and_another_phase_as_long_as_it_took():
    clock, times = _Clock("cpu"), iter([9.0, 11.0, 13.0, 14.0, 15.0])
    clock._now = lambda: next(times)
    for phase in ("learn", "learn", "learn", "balance", "balance"):
        clock.report({"phase": phase, "epoch": 1})
    clock.stop()
    assert clock.seconds == 3 * 2.0 + 2 * 1.0
    clock, times = _Clock("cpu"), iter([9.0, 12.0])
    clock._now = lambda: next(times)
    for step in (4, 10):  # six steps in three seconds, and four before
        clock.report({"phase": "dream", "step": step})
    clock.stop()
    assert clock.seconds == 5.0


@pytest.mark.long
def test_what_was_never_run_is_timed_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = make_plan(parse_spec(SPEC.replace("rehearsal", "abd") + "dreaming: {steps: 100}\n", "s"))
    told = []
    found = estimate(plan, {}, told.append)
    assert (found.recorded, found.calibrated) == (0, len(told)) == (0, 4)
    assert all(seconds > 0 for seconds in found.seconds.values()) and found.seconds.keys() == plan.stages.keys()
    assert list(tmp_path.iterdir()) == []
