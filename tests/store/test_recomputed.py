"""A finished stage computed again on purpose: the same leaves the old one, another takes its place; nothing is lost."""

import json

import pytest

from orchestrator.results.difference import differences
from orchestrator.store.recomputing import FILE, Recomputing
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from tests.support.fake_stages import make_stage
from tests.support.sound_records import told

STAGE = make_stage("a")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs")
    store.prepare()
    assert commit(store, recomputed=False)
    return store


def commit(store, content="one", recomputed=True, **record):
    with store.leases.acquire(STAGE.key) as lease:
        work = store.work(STAGE, lease)
        (work / "network.safetensors").write_text(content)
        return store.commit(STAGE, work, {**told(STAGE.recipe), **record}, lease, recomputed=recomputed)


def leftovers(store):
    return [path.name for path in store.stages.iterdir() if path.name.startswith((".work", ".replaced", ".damaged"))]


def test_the_same_result_leaves_the_old_one_with_its_time_and_place(store):
    before = store.record(STAGE)
    assert commit(store, started=1_800_000_000, seconds=2.0, provenance={"versions": {"torch": "3"}, "host": "there"})
    assert store.record(STAGE) == before and leftovers(store) == []
    assert differences(before, before) == []


def test_a_freed_stage_gets_its_files_back(store):
    before = store.record(STAGE)
    assert store.free(STAGE, list) == 3 and not store.whole(STAGE)
    assert commit(store)
    assert store.whole(STAGE) and store.record(STAGE) == before and leftovers(store) == []
    check(store.folder(STAGE), STAGE.key, whole=True)


@pytest.mark.parametrize("freed", [False, True])
def test_another_result_takes_the_place_of_the_old_one_which_lies_aside(store, freed):
    before = store.record(STAGE)
    if freed:
        store.free(STAGE, list)
    assert commit(store, "two")
    now, aside = store.record(STAGE), f".replaced-{STAGE.folder}-1"
    assert now["replaces"] == aside and leftovers(store) == [aside]
    assert json.loads((store.stages / aside / "record.json").read_text()) == before
    check(store.folder(STAGE), STAGE.key, whole=True)
    assert commit(store, "three") and len(leftovers(store)) == 2


def test_what_differs_is_told():
    evaluation = {"images": {"0": 4, "1": 4}, "correct": {"0": 4, "1": 1}, "correct_local": {"0-1": 8}}
    provenance = {"versions": {"torch": "2.9"}, "device": "cpu", "instructions": "AVX2"}
    before = {"evaluation": evaluation, "curves": {}, "files": {"a": {}, "b": {}}, "provenance": provenance}
    now = {
        "evaluation": {**evaluation, "correct": {"0": 3, "1": 3}},
        "curves": {"loss": [1.0]},
        "files": {"a": {}, "b": {"bytes": 3}},
        "provenance": {"versions": {"torch": "2.8"}, "device": "cpu", "instructions": "AVX512"},
    }
    assert differences(before, now) == [
        "6 of 8 right answers (75.00%), before 5 (62.50%); by class 0: -1, 1: +2",
        "other content of b",
        "other curves",
        "instructions AVX512, before AVX2",
        "torch 2.8, before 2.9",
    ]
    assert differences(before, {**before, "files": {}})[0] == "the same right answers (5 of 8)"


def test_what_a_stopped_launch_left_is_what_the_next_one_does(tmp_path):
    keys = [letter * 64 for letter in "abc"]
    begun = Recomputing.begin(tmp_path, keys)
    begun.done(keys[0])
    begun.done("d" * 64)
    assert Recomputing.begin(tmp_path, reversed(keys)).left == set(keys[1:])
    assert Recomputing.begin(tmp_path, keys[:2]).left == set(keys[:2]), "it is asked for something else"
    for key in keys:
        begun.done(key)
    assert not (tmp_path / FILE).exists()
    assert Recomputing.begin(tmp_path, keys).left == set(keys)
