"""Identities: equal work has an equal key, whatever can change a number changes it, and nothing else does."""

import json
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy
import pytest

from dfcil_core.config import DataRecipe, Dreaming, Recipe, Training
from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods import METHODS
from orchestrator.plan.fingerprint import canonical, fingerprint
from orchestrator.plan.plan import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec
from tests.support.paths import ROOT

SPEC = """\
name: identities
dataset: {name: digits, image_size: 8}
methods: [upper-bound, base, lwf, abd, rehearsal]
tasks: [5, {first: 4, then: 2}]
seeds: [0, 1]
training: {backbone: resnet8, epochs: 4}
dreaming: {steps: 20}
memory: 100
"""
RECIPE = Recipe(
    kind="learn",
    versions={"data": 1, "loop": 1, "method": 1},
    device="cpu",
    seed=0,
    stream=1,
    data=DataRecipe(name="digits", digest="sha256:0", image_size=8),
    classes=((7, 8), (1, 5)),
    width=10,
    training={"backbone": "resnet8", "lr": 0.1, "milestones": [2, 3]},
    method="lwf",
    settings={"mu": 1.0},
    parents={"model": "a" * 64},
)
# Another value for every field of a recipe. A new field needs a line here: the tests below say so.
OTHER = {
    "kind": "dream",
    "versions": {"data": 1, "loop": 2, "method": 1},
    "device": "cuda",
    "seed": 1,
    "stream": 0,
    "data": replace(RECIPE.data, name="cifar10"),
    "classes": ((7, 8), (5, 1)),
    "width": 12,
    "training": {**RECIPE.training, "lr": 0.05},
    "method": "base",
    "settings": {"mu": 0.5},
    "plugin": "b" * 64,
    "parents": {"model": "c" * 64},
}
OTHER_DATA = {
    "name": "cifar10",
    "digest": "sha256:1",
    "image_size": 16,
    "channels": 1,
    "augmentation": "jitter-flip-crop",
    "split": "another",
    "holdout": 0.1,
    "holdout_seed": 1,
    "fold": 1,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.2, 0.2, 0.2),
    "options": {"images": 7},
}
OTHER_TRAINING = {
    "backbone": "resnet14",
    "epochs": 5,
    "milestones": (2,),
    "batch_size": 64,
    "lr": 0.05,
    "momentum": 0.8,
    "weight_decay": 1e-4,
    "precision": "bfloat16",
    "optimizer": "adam",
    "schedule": "cosine",
    "warmup": 1,
    "augmentation": "none",
    "gradient_clip": 1.0,
}
OTHER_DREAMING = {
    "steps": 21,
    "lr": 1e-2,
    "bn_weight": 5.0,
    "prior_weight": 1e-2,
    "temperature": 100.0,
    "ce_weight": 2.0,
}


def key(recipe: Recipe) -> str:
    return Stage(recipe).key


def keys(text: str = SPEC, device: str = "cpu", **how) -> set[str]:
    return set(make_plan(parse_spec(text, "s.yaml", **how), device).stages)


def plan_of(method: str, training=None, dreaming=None, **settings):
    """The plan of one method over two tasks of digits."""
    own = METHODS[method](METHODS[method].settings_type(**settings))
    entry = MethodEntry(
        method, own, training or Training(epochs=4), dreaming or Dreaming(steps=20), memory=100, quirks="none"
    )
    return make_plan(SweepSpec("one", Dataset(DATASETS["digits"], 8), (entry,), (Split((5, 5), "2"),), (0,)))


# ---- what changes a key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe)])
def test_each_field_of_a_recipe_changes_the_key(field):
    assert key(replace(RECIPE, **{field: OTHER[field]})) != key(RECIPE)


@pytest.mark.parametrize("field", [field.name for field in fields(DataRecipe)])
def test_each_field_of_the_data_changes_the_key(field):
    data = replace(RECIPE.data, **{field: OTHER_DATA[field]})
    assert key(replace(RECIPE, data=data)) != key(RECIPE)


@pytest.mark.parametrize("field", [field.name for field in fields(Training)])
def test_each_training_setting_changes_every_learn_stage(field):
    changed = plan_of("base", replace(Training(epochs=4), **{field: OTHER_TRAINING[field]}))
    assert not set(changed.stages) & set(plan_of("base").stages)


@pytest.mark.parametrize("field", [field.name for field in fields(Dreaming)])
def test_each_dreaming_setting_changes_the_dreams_and_what_learns_from_them_but_not_task_1(field):
    before, after = (plan_of("abd", dreaming=d) for d in (Dreaming(steps=20), _other_dreaming(field)))
    assert kinds_in_common(before, after) == ["learn 1"]


def _other_dreaming(field: str) -> Dreaming:
    return replace(Dreaming(steps=20), **{field: OTHER_DREAMING[field]})


def kinds_in_common(one, other) -> list[str]:
    common = [one.stages[at].recipe for at in one.stages if at in other.stages]
    return sorted(f"{recipe.kind} {recipe.task}" for recipe in common)


def test_a_methods_own_setting_acts_from_the_task_on_where_it_is_used():
    assert kinds_in_common(plan_of("abd", mu=0.1), plan_of("abd", mu=0.2)) == ["dream 1", "learn 1"]
    assert kinds_in_common(plan_of("lwf", mu=1.0), plan_of("lwf", mu=0.5)) == ["learn 1"]


@pytest.mark.parametrize("override", ["seeds=[2, 3]", "dataset.image_size=16"])
def test_what_the_spec_says_of_the_work_leaves_no_stage_as_it_was(override):
    assert not keys() & keys(overrides=[override])


def test_the_kind_of_device_leaves_no_stage_as_it_was():
    assert not keys() & keys(device="cuda")


@pytest.mark.parametrize("component", ["DATA_VERSION", "LOOP_VERSION", "MEMORY_VERSION", "DREAM_VERSION"])
def test_each_components_version_changes_the_stages_computed_with_it(component, monkeypatch):
    before = make_plan(parse_spec(SPEC, "s.yaml")).stages
    monkeypatch.setattr(f"dfcil_core.config.{component}", 1000)
    after = make_plan(parse_spec(SPEC, "s.yaml")).stages
    gone = {stage.recipe.kind for at, stage in before.items() if at not in after}
    first = {"DATA_VERSION": "learn", "LOOP_VERSION": "learn", "MEMORY_VERSION": "remember", "DREAM_VERSION": "dream"}
    assert first[component] in gone
    # What stays: images are chosen at random without training, and first tasks read no memory and no dream.
    kept = {stage.recipe.kind for at, stage in after.items() if at in before}
    expected = {"DATA_VERSION": set(), "LOOP_VERSION": {"remember"}}
    assert kept == expected[component] if component in expected else "learn" in kept


@pytest.mark.parametrize(("optimizer", "on_cuda"), [("sgd", set()), ("adam", {"gpu_adam"}), ("adamw", {"gpu_adam"})])
def test_adam_on_a_gpu_has_a_version_of_its_own(optimizer, on_cuda):
    spec = parse_spec(SPEC, "s.yaml", overrides=[f"training.optimizer={optimizer}"])
    told = {
        device: set().union(*(stage.recipe.versions for stage in make_plan(spec, device).stages.values()))
        for device in ("cpu", "cuda")
    }
    assert told["cuda"] - told["cpu"] == on_cuda


def test_a_change_early_in_a_chain_reaches_its_end():
    before, after = (plan_of("lwf", Training(epochs=epochs)) for epochs in (4, 5))
    assert before.jobs[0].stages[-1] != after.jobs[0].stages[-1]
    # The last stage's own recipe differs by its parents alone.
    child = before.stages[before.jobs[0].stages[-1]].recipe
    assert key(replace(child, parents={"model": "d" * 64})) != key(child)


# ---- what does not ---------------------------------------------------------------------------------------------------


def test_neither_names_nor_labels_nor_places_nor_order_are_in_a_key(tmp_path):
    other = SPEC.replace("identities", "renamed").replace(
        "[upper-bound, base, lwf, abd, rehearsal]",
        "[rehearsal, {name: abd, label: dreams}, lwf, base, {name: upper-bound, label: joint}]",
    )
    assert other != SPEC
    assert keys(other) == keys()
    assert keys(data_root=str(tmp_path)) == keys()


def test_defaults_written_out_are_the_same_work():
    written = SPEC.replace("epochs: 4}", "epochs: 4, milestones: [1, 2, 3], lr: 0.1, momentum: 0.9, batch_size: 128}")
    written = written.replace("lwf,", "{name: lwf, mu: 1},")
    assert written.count("momentum") == written.count("mu: 1") == 1
    assert keys(written) == keys()


def test_a_longer_sweep_holds_all_of_a_shorter_one():
    assert keys() < keys(overrides=["seeds=[0, 1, 2]"])
    assert keys() < keys(overrides=["tasks=[5, {first: 4, then: 2}, 10]"])


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_another_process_gives_the_same_keys(hash_seed):
    code = (
        "import json, sys\nfrom orchestrator.plan.plan import make_plan\n"
        "from orchestrator.spec.load import parse_spec\n"
        "print(json.dumps(list(make_plan(parse_spec(sys.argv[1], 's.yaml')).stages)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", code, SPEC]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == list(make_plan(parse_spec(SPEC, "s.yaml")).stages)


def test_a_recipe_has_the_same_key_after_a_trip_through_a_file():
    for stage in make_plan(parse_spec(SPEC, "s.yaml")).stages.values():
        read = Recipe.from_json(json.loads(json.dumps(stage.recipe.to_json())))
        assert read == replace(stage.recipe, classes=read.classes) and key(read) == stage.key


# ---- canonical JSON --------------------------------------------------------------------------------------------------


def test_canonical_json_is_what_it_was_when_the_first_store_was_written():
    assert canonical({"b": [1, 1.0, "1", True, None], "a": {"é": 1e-3}}) == (
        '{"a":{"\\u00e9":0.001},"b":[1,1.0,"1",true,null]}'
    )
    # printf '{"a":1}' | sha256sum
    assert fingerprint({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


def test_types_are_kept_apart_and_the_order_of_keys_is_not():
    assert len({fingerprint(value) for value in (1, 1.0, "1", True, None, [1], {"1": 1})}) == 7
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint((1, 2)) == fingerprint([1, 2]) != fingerprint([2, 1])


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {1, 2}}, r"value\.a is a set"),
        ({"a": [0, object()]}, r"value\.a\[1\] is a object"),
        ([numpy.float64(0.5)], r"value\[0\] is a float64"),
        ({"a": numpy.int64(1)}, r"value\.a is a int64"),
        ({"a": b"bytes"}, r"value\.a is a bytes"),
        ({"a": {1: 2}}, r"value\.a has the key 1"),
    ],
)
def test_a_value_whose_text_is_not_stable_is_refused_with_its_place(value, place):
    with pytest.raises(TypeError, match=place):
        fingerprint(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [1, -float("inf")]}])
def test_a_number_that_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError, match="finite"):
        fingerprint(value)
