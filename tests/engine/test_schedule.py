"""The order of stages: parents first, the longest chain first, failures contained."""

from orchestrator.engine.schedule import BLOCKED, READY, Schedule
from tests.support.fake_stages import make_stage

A = make_stage("a")
B = make_stage("b", A)
C = make_stage("c", B)
SHORT = make_stage("short")
LONE = make_stage("lone")
JOINED = make_stage("joined", C, SHORT)


def schedule(*stages, done=()):
    return Schedule({stage.key: stage for stage in stages}, {stage.key for stage in done})


def names(work, count):
    return [None if stage is None else stage.recipe.settings["name"] for stage in (work.next() for _ in range(count))]


def test_the_deepest_chain_goes_first_and_equals_in_the_plans_order():
    work = schedule(LONE, SHORT, A, B, C)
    assert names(work, 4) == ["a", "lone", "short", None]
    work.done(A.key)
    assert names(work, 2) == ["b", None]


def test_a_stage_waits_for_all_its_parents():
    work = schedule(A, B, C, SHORT, JOINED, done=[A, B])
    assert names(work, 3) == ["c", "short", None]
    work.done(C.key)
    assert names(work, 1) == [None]
    work.done(SHORT.key)
    assert names(work, 1) == ["joined"]
    assert work.unfinished == 1
    work.done(JOINED.key)
    assert work.unfinished == 0


def test_a_failure_blocks_what_needs_it_and_nothing_else():
    work = schedule(A, B, C, SHORT, JOINED, LONE)
    assert names(work, 1) == ["a"]
    work.failed(A.key)
    assert work.keys(BLOCKED) == {B.key, C.key, JOINED.key}
    assert names(work, 3) == ["short", "lone", None]
    assert work.unfinished == 2


def test_a_stage_put_back_comes_again():
    work = schedule(A, B)
    assert names(work, 2) == ["a", None]
    work.put_back(A.key)
    assert names(work, 2) == ["a", None]
    assert work.unfinished == 2


def test_a_reopened_parent_is_done_before_its_child_again():
    work = schedule(A, B, C, done=[A])
    assert names(work, 1) == ["b"]
    work.reopen(A.key, lambda stage: True)
    work.put_back(B.key)
    work.reopen(A.key, lambda stage: True)  # a second child tells of the same damage
    assert work.unfinished == 3
    assert names(work, 2) == ["a", None]
    work.done(A.key)
    assert names(work, 2) == ["b", None]


def test_reopening_goes_up_as_far_as_parents_are_missing():
    work = schedule(A, B, C, done=[A, B])
    assert work.keys(READY) == {C.key}
    work.reopen(B.key, lambda stage: stage != A)
    assert names(work, 2) == ["a", None]
    assert work.unfinished == 3


def test_a_stage_put_back_under_a_failed_parent_is_blocked_with_all_below():
    work = schedule(A, B, C, done=[A])
    assert names(work, 1) == ["b"]
    work.reopen(A.key, lambda stage: True)
    assert names(work, 1) == ["a"]
    work.failed(A.key)
    work.put_back(B.key)
    assert work.keys(BLOCKED) == {B.key, C.key}
    assert work.unfinished == 0
