"""The one schema of a stage's record: what it refuses on writing, reading and import, and its SHA-256."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from dfcil_core.counts import count_right
from orchestrator.errors import UserError
from orchestrator.store import archive, record, verify
from orchestrator.store.stage_folder import DamagedStage
from orchestrator.store.store import Store
from tests.support import fabricated

ALTERED = {
    "host": (lambda told: told["provenance"].update(host={}), "provenance.host"),
    "commit": (lambda told: told["provenance"].update(commit=1.5), "provenance.commit"),
    "versions": (lambda told: told["provenance"].update(versions=[]), "provenance.versions"),
    "usage": (lambda told: told.update(usage={"cpu_seconds": 1.0, "cpu_percent": -1.0, "memory_mib": 1.0}), "usage"),
    "long": (lambda told: told.update(seconds=1e29), "seconds"),
    "late": (lambda told: told.update(ended=1e308), "ended"),
    "no seconds": (lambda told: told.pop("seconds"), "seconds"),
    "no curves": (lambda told: told.pop("curves"), "curves"),
    "text in a curve": (lambda told: told["curves"].update(loss=["x"]), "curves.loss"),
    "attempt": (lambda told: told.update(attempt=True), "attempt"),
    "file": (lambda told: told["files"].update({"../x": {"sha256": "0" * 64, "bytes": 1}}), "files"),
}
OF_LEARN = {
    "no evaluation": (lambda told: told.pop("evaluation"), "evaluation"),
    "no class": (lambda told: told["evaluation"]["images"].popitem(), "evaluation"),
    "too many": (
        lambda told: told["evaluation"]["correct"].update(dict.fromkeys(told["evaluation"]["correct"], 41)),
        "41",
    ),
    "too many locally": (lambda told: told["evaluation"]["correct_local"].update({"0": 1000}), "1000 right answers"),
}
OF_DREAM = {
    "unequal": (lambda told: told["curves"].update(loss=[1.0]), "equal length"),
    "no steps": (lambda told: told["curves"].pop("step"), "curves.step"),
}
CASES = [(kind, *case) for kind in ("learn", "dream") for case in ALTERED.values()]
CASES += [("learn", *case) for case in OF_LEARN.values()] + [("dream", *case) for case in OF_DREAM.values()]


@pytest.fixture
def plan():
    return fabricated.sweep(("abd",), seeds=(0,), splits=((5, 5),))


@pytest.fixture
def store(plan, tmp_path):
    return fabricated.finish(plan, tmp_path / "runs")


@pytest.mark.parametrize(("kind", "change", "place"), CASES)
def test_what_is_no_record_is_refused_wherever_it_comes_from(plan, store, tmp_path, kind, change, place):
    stage = next(stage for stage in plan.stages.values() if stage.recipe.kind == kind)
    archive.export(store, [stage], tmp_path / "a.tar")
    path = store.folder(stage) / "record.json"
    told = json.loads(path.read_text())
    told.pop("sha256")
    change(told)
    with pytest.raises(record.Unsound, match=place):
        record.dumps(told, stage.recipe)
    path.write_text(json.dumps(told))
    with pytest.raises(DamagedStage, match=place):
        store.record(stage)
    damaged = []
    assert stage.key not in store.records(plan.stages.values(), lambda stage, why: damaged.append(why))
    assert len(damaged) == 1 and place in damaged[0]
    with pytest.raises(UserError, match=place):
        hostile(store, stage, tmp_path / "b.tar", json.dumps(told).encode())
        archive.load(Store(tmp_path / "there"), tmp_path / "b.tar")


def hostile(store, stage, path, content):
    """An archive with this content for the record."""
    import io
    import tarfile

    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as made:
        for name, data in {
            "stage.json": (store.folder(stage) / "stage.json").read_bytes(),
            "record.json": content,
        }.items():
            member = tarfile.TarInfo(f"{stage.folder}/{name}")
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))


def test_what_a_stage_used_is_kept_and_older_records_lack_it(plan, store):
    stage = next(iter(plan.stages.values()))
    assert "usage" not in store.record(stage)
    told = {**store.record(stage), "usage": {"cpu_seconds": 1.5, "cpu_percent": 99.5, "memory_mib": 400.25}}
    assert record.loads(record.dumps(told, stage.recipe).encode(), stage.recipe)["usage"] == told["usage"]


def test_a_record_reads_as_it_was_written(plan, store):
    for stage in plan.stages.values():
        told = fabricated.record(plan, stage)
        read = store.record(stage)
        written = json.loads((store.folder(stage) / "record.json").read_text())
        assert read == written and {name: read[name] for name in told} == json.loads(json.dumps(told))
        assert json.dumps(read, sort_keys=True) == json.dumps(written, sort_keys=True), "ints stay ints"


@pytest.mark.parametrize("layout", [None, 2])
def test_one_count_that_changed_is_known(plan, store, layout):
    stage = next(iter(plan.stages.values()))
    path = store.folder(stage) / "record.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(told.items())), indent=layout))
    assert store.record(stage) == told, "only the layout has changed"
    label = next(iter(told["evaluation"]["correct"]))
    told["evaluation"]["correct"][label] -= 1
    path.write_text(json.dumps(told, indent=layout))
    with pytest.raises(DamagedStage, match="sha256"):
        store.record(stage)
    told.pop("sha256")  # as an older record
    path.write_text(json.dumps(told))
    assert store.record(stage) == told
    assert [found.sealed for found in verify.verify(store) if found.name == stage.folder] == [False]


@pytest.mark.parametrize("part", ["images", "correct", "correct_local", "none"])
def test_verify_counts_again_what_an_unsealed_record_says(plan, tmp_path, part):
    stage = next(iter(plan.stages.values()))
    store = Store(tmp_path)
    store.prepare()
    work = store.stages / f".work-{stage.key[:16]}-test"
    work.mkdir()
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(50, 5)).astype("float32"), np.arange(50) % 5
    save_file({"logits": logits, "labels": labels}, work / "logits.safetensors")
    told = {**fabricated.record(plan, stage), "evaluation": count_right(logits, labels, stage.recipe.classes)}
    if part != "none":
        counts = told["evaluation"][part]
        counts[next(iter(counts))] += 1 if part == "images" else -1
    store.commit(stage, work, told)
    (found,) = verify.verify(store)
    assert (found.reason is None) == (part == "none")
    assert part == "none" or part in found.reason
