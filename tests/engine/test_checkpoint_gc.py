"""Checkpoints that nothing needs are freed, and come back, the same, where they are needed after all."""

import json
import shutil
import subprocess

import pytest

from orchestrator.engine.events import Outcome
from orchestrator.engine.stage_source import StageSource
from orchestrator.store import archive
from orchestrator.store.stage_folder import FREED, DamagedStage, check, freed_of
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import load
from tests.store.test_archive import members
from tests.support.fake_stages import make_stage
from tests.support.launched import command, dfcil, environment
from tests.support.sound_records import told

pytestmark = pytest.mark.long

SPEC = """\
name: chain
dataset: {name: synthetic, classes: 8, train_per_class: 8, test_per_class: 2, image_size: 8}
methods: [base, abd]
tasks: [4]
seeds: [0]
training: {backbone: resnet8, epochs: 1, batch_size: 16}
dreaming: {steps: 2}
"""


def launch(spec, runs, *more):
    """Launch as users do; what was printed."""
    done = dfcil("launch", spec, "--runs", runs, "--device", "cpu", *more, folder=spec.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """A sweep, and the same one with everything kept."""
    place = tmp_path_factory.mktemp("freed")
    (place / "chain.yaml").write_text(SPEC)
    assert "6 checkpoints freed" in launch(place / "chain.yaml", place / "freed")
    assert "checkpoints freed" not in launch(place / "chain.yaml", place / "kept", "--keep", "all")
    return place


@pytest.fixture
def runs(launched, tmp_path):
    return shutil.copytree(launched / "freed", tmp_path / "runs")


def parts(runs, name="chain"):
    plan, store = load(runs, name), Store(runs)
    return plan, store, {str(stage).partition(" · seed")[0]: stage for stage in plan.stages.values()}


def freed_stages(store, stages):
    return {name for name, stage in stages.items() if not store.whole(stage)}


def test_what_lies_between_the_first_task_and_the_last_is_freed(launched):
    plan, store, stages = parts(launched / "freed")
    gone = freed_stages(store, stages)
    assert gone == {name for name, stage in stages.items() if 1 < stage.recipe.task < 4}
    assert {name.partition(" ")[0] for name in gone} == {"learn", "dream"} and len(gone) == 6
    for name in gone:
        folder = store.folder(stages[name])
        there = {path.name for path in folder.iterdir()}
        assert not there & {"network.safetensors", "generator.safetensors", "optimizer.safetensors"}
        assert ("logits.safetensors" if name.startswith("learn") else "dreams.png") in there
        check(folder, stages[name].key)
        with pytest.raises(DamagedStage, match="freed of"):
            check(folder, stages[name].key, whole=True)
    _, everything, kept = parts(launched / "kept")
    assert freed_stages(everything, kept) == set()
    assert all(job.stages[-1] == job.learn[-1] for job in plan.jobs)  # what other sweeps' last networks are known by


def test_tables_checks_and_relaunches_do_not_miss_them(launched, runs, tmp_path):
    told = [dfcil("report", "chain", "--runs", at, folder=tmp_path).stdout for at in (runs, launched / "kept")]
    assert told[0] == told[1] and "abd" in told[0] and "base" in told[0]
    assert "0 damaged" in dfcil("store", "--runs", runs, "verify", folder=tmp_path).stdout
    (learn,) = [line for line in dfcil("store", "--runs", runs, folder=tmp_path).stdout.splitlines() if "learn" in line]
    assert [cell.strip() for cell in learn.split("│")][1:4] == ["learn", "7", "4"]
    assert "0 stages run" in launch(launched / "chain.yaml", runs)


def test_a_freed_stage_that_is_needed_is_computed_again_to_the_same_files(launched, runs):
    _, store, stages = parts(runs)
    before = {name: store.record(stage) for name, stage in stages.items()}
    shutil.rmtree(store.folder(stages["learn 4 · abd"]))
    told = launch(launched / "chain.yaml", runs, "--keep", "all")
    # Up to the first task, whose network and generator are kept: learn 2 to 4, and dream 2 and 3.
    assert "5 stages run" in told and "damaged" not in told
    assert freed_stages(store, stages) == {"learn 2 · base", "learn 3 · base"}
    for name, stage in stages.items():
        check(store.folder(stage), stage.key)
        now = store.record(stage)
        assert now["files"] == before[name]["files"]
        # Its record, with the time of its first computation, stays: MLflow has it.
        assert now == before[name] or name == "learn 4 · abd"


def test_one_that_comes_out_differently_is_said_to(launched, runs):
    _, store, stages = parts(runs)
    other = stages["learn 2 · base"]
    record = store.folder(other) / "record.json"
    before = json.loads(record.read_text())
    before["files"]["network.safetensors"]["sha256"] = "0" * 64  # as if another machine had computed it
    before.pop("sha256")
    record.write_text(json.dumps(before))
    shutil.rmtree(store.folder(stages["learn 3 · base"]))
    assert "is not what it was" in launch(launched / "chain.yaml", runs, "--keep", "all")
    aside = store.stages / store.record(other)["replaces"]
    assert json.loads((aside / "record.json").read_text()) == before
    check(store.folder(other), other.key, whole=True)


def test_what_another_sweep_needs_is_kept(tmp_path):
    runs, spec = tmp_path / "runs", tmp_path / "chain.yaml"
    spec.write_text(SPEC.replace("[base, abd]", "[base]"))
    launch(spec, runs, "--keep", "all")
    _, store, stages = parts(runs)
    keys = [stage.key for stage in stages.values()]
    other = runs / "sweeps" / "other" / "jobs.json"
    other.parent.mkdir()
    later = [stage for stage in stages.values() if stage.recipe.task > 1]

    def freed_when_others_have(jobs):
        other.write_text(json.dumps(jobs))
        for stage in later:
            shutil.rmtree(store.folder(stage), ignore_errors=True)
        launch(spec, runs)
        return freed_stages(store, stages)

    assert freed_when_others_have({"waits": [*keys, "f" * 64]}) == set()
    assert freed_when_others_have({"ends": keys[:2]}) == {"learn 3 · base"}
    # Another job of the same stages, unfinished when learn 3 was done and finished when the launch ended.
    assert freed_when_others_have({"goes on": keys[1:]}) == {"learn 2 · base", "learn 3 · base"}


def test_freed_stages_travel(runs, tmp_path):
    plan, store, stages = parts(runs)
    archive.export(store, plan.stages.values(), tmp_path / "a.tar")
    there = Store(tmp_path / "there")
    done = archive.load(there, tmp_path / "a.tar")
    assert len(done.added) == len(stages) and freed_stages(there, stages) == freed_stages(store, stages)
    for stage in stages.values():
        assert there.record(stage) == store.record(stage)
        assert set(freed_of(there.folder(stage))) == set(freed_of(store.folder(stage)))
        check(there.folder(stage), stage.key)
    assert sum(name.name.endswith(FREED) for name, _ in members(tmp_path / "a.tar")) == 6
    assert len(archive.load(there, tmp_path / "a.tar").present) == len(stages)


def test_an_archive_fills_what_was_freed(launched, runs, tmp_path):
    plan, store, stages = parts(runs)
    _, whole, _ = parts(launched / "kept")
    archive.export(whole, plan.stages.values(), tmp_path / "whole.tar")
    assert len(archive.load(store, tmp_path / "whole.tar").added) == 6
    assert freed_stages(store, stages) == set()


def test_a_process_that_dies_while_freeing_leaves_a_freed_stage(runs):
    _, store, stages = parts(runs)
    stage = next(iter(stages.values()))
    (store.folder(stage) / FREED).write_text('["network.safetensors"]')  # named, but not removed yet
    check(store.folder(stage), stage.key)
    assert not store.whole(stage)
    (store.folder(stage) / FREED).write_text("[")
    with pytest.raises(DamagedStage, match="freed.json"):
        check(store.folder(stage), stage.key)


def test_a_stage_that_another_launcher_has_freed_is_done_for_whoever_goes_on_from_behind_it(tmp_path):
    store = Store(tmp_path / "runs")
    store.prepare()
    a = make_stage("a")
    b = make_stage("b", a)
    c = make_stage("c", b)
    source = StageSource(store, dict, lambda event: None, Outcome())
    source.begin({stage.key: stage for stage in (a, b, c)}, {})
    assert not source.settled(a)
    for stage in (a, b):  # another launcher is quicker
        with store.leases.acquire(stage.key) as lease:
            work = store.work(stage, lease)
            (work / "value.txt").write_text("x")
            store.commit(stage, work, told(stage.recipe), lease)
    assert source.settled(a) and source.settled(b) and not source.settled(c)
    assert store.free(a, list) == 1
    assert source.settled(a), "b has been computed from it"
    assert store.free(b, list) == 1
    assert not source.settled(b), "c is to begin from it"
    assert not source.settled(a), "and b again from this one"


def test_two_launchers_of_one_sweep_do_no_stage_twice(tmp_path):
    spec, runs = tmp_path / "chain.yaml", tmp_path / "runs"
    spec.write_text(SPEC.replace("seeds: [0]", "seeds: [0, 1]"))
    line = command("launch", spec, "--runs", runs, "--device", "cpu", "--jobs", 1)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(line, cwd=tmp_path, env=environment(), **pipes) for _ in range(2)]
    told = [launcher.communicate(timeout=300)[0] for launcher in both]
    assert [launcher.returncode for launcher in both] == [0, 0], told
    plan, store, _ = parts(runs)
    begun = {stage.folder: store.log(stage).read_text().count(", attempt ") for stage in plan.stages.values()}
    assert set(begun.values()) == {1}, (begun, told)
    between = {stage.folder for stage in plan.stages.values() if 1 < stage.recipe.task < 4}
    assert {stage.folder for stage in plan.stages.values() if not store.whole(stage)} == between
