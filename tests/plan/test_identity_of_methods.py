"""What enters the stages of each method, and what does not: held over every method there is."""

from dataclasses import fields, is_dataclass, replace

import pytest

from dfcil_core.config import DataRecipe, Dreaming, Recipe, Training
from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods import METHODS
from orchestrator.engine.engine import Options
from orchestrator.plan.plan import make_plan
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec
from tests.plan.test_identity import RECIPE, key

OWN_FIRST_TASK = {"dgr", "r-dfcil", "lwf-mc", "upper-bound"}  # methods.md says why
TRAINING = Training(backbone="resnet8", epochs=10)
DREAMING = Dreaming(steps=3)


def stages_of(name, splits=((2,) * 5,), **changes):
    """(kind, task) to key, over all splits of the classes of digits."""
    entry = MethodEntry(name, METHODS[name](), TRAINING, DREAMING, 100, "none")
    splits = tuple(Split(sizes, str(number)) for number, sizes in enumerate(splits))
    spec = SweepSpec("s", Dataset(DATASETS["digits"], 8), (replace(entry, **changes),), splits, (0,))
    return {(stage.recipe.kind, stage.recipe.task): at for at, stage in make_plan(spec).stages.items()}


def in_common(one, other):
    """Where the two have the same stage."""
    return {at for at in one if one[at] == other.get(at)}


# ---- methods ---------------------------------------------------------------------------------------------------------


def test_the_first_task_is_one_stage_for_all_methods_that_begin_alike():
    first = stages_of("base")["learn", 1]
    shared = {name for name in METHODS if stages_of(name).get(("learn", 1)) == first}
    assert shared == set(METHODS) - OWN_FIRST_TASK


def test_the_first_dream_is_one_stage_for_all_methods_that_dream_alike():
    first = {name: stages_of(name)["dream", 1] for name, method in METHODS.items() if method.dreams}
    assert "abd" in first
    # R-DFCIL dreams of a network of its own.
    assert len({at for name, at in first.items() if name != "r-dfcil"}) == 1


def test_from_task_2_on_methods_part():
    later = [stages_of(name)["learn", 2] for name in METHODS if name != "upper-bound"]
    assert len(set(later)) == len(later)


@pytest.mark.parametrize("name", METHODS)
def test_dreaming_enters_where_a_method_dreams(name):
    plain = stages_of(name)
    for field in fields(Dreaming):
        other = stages_of(name, dreaming=replace(DREAMING, **{field.name: 7}))
        assert in_common(plain, other) == ({("learn", 1)} if METHODS[name].dreams else plain.keys()), field.name


@pytest.mark.parametrize("name", METHODS)
def test_memory_enters_where_images_are_kept(name):
    few, many = stages_of(name, memory=10), stages_of(name, memory=20)
    assert in_common(few, many) == ({("learn", 1)} if METHODS[name].selection else few.keys())


@pytest.mark.parametrize("name", METHODS)
def test_quirks_enter_everything_but_r_dfcil_and_what_is_not_said_is_none(name):
    plain, quirky = stages_of(name), stages_of(name, quirks="iccv2021")
    assert in_common(plain, quirky) == (set(plain) if name == "r-dfcil" else set())


def test_the_quirks_version_enters_where_they_act_and_nowhere_else(monkeypatch):
    before = {(name, quirks): stages_of(name, quirks=quirks) for name in METHODS for quirks in ("none", "iccv2021")}
    monkeypatch.setattr("dfcil_core.config.QUIRKS_VERSION", 1000)
    for (name, quirks), one in before.items():
        kept = in_common(one, stages_of(name, quirks=quirks))
        assert kept == (set() if quirks == "iccv2021" and name != "r-dfcil" else set(one))


def test_random_choice_of_a_memory_needs_no_model():
    # So a sweep over learning rates shares its memories, and they are chosen while task 1 is still being learnt.
    plain, other = stages_of("rehearsal"), stages_of("rehearsal", training=replace(TRAINING, lr=0.3))
    assert in_common(plain, other) == {("remember", task) for task in range(1, 5)}


def test_splits_share_what_they_have_in_common():
    by_large, by_larger = stages_of("abd", [(6, 2, 2)]), stages_of("abd", [(6, 4)])
    assert in_common(by_large, by_larger) == {("learn", 1), ("dream", 1)}


# ---- every place of a recipe -----------------------------------------------------------------------------------------

FULL = replace(
    RECIPE,
    data=replace(RECIPE.data, mean=(0.5, 0.25), std=(0.25, 0.5), options={"classes": ["a", "b"], "images": 7}, fold=3),
    settings={"mu": 0.1, "quirks": "none"},
    plugin="b" * 64,
    parents={"model": "a" * 64, "generator": "c" * 64},
)


def changed(value):
    """Values that differ from `value` at one place each, however deep, with the place."""
    if is_dataclass(value):
        for field in fields(value):
            for place, other in changed(getattr(value, field.name)):
                yield f"{field.name}{place}", replace(value, **{field.name: other})
    elif isinstance(value, dict):
        for name in value:
            for place, other in changed(value[name]):
                yield f".{name}{place}", {**value, name: other}
            yield f" without {name}", {at: item for at, item in value.items() if at != name}
        yield " with more", {**value, "other": 1}
    elif isinstance(value, tuple | list):
        kind = type(value)
        for index, item in enumerate(value):
            for place, other in changed(item):
                yield f"[{index}]{place}", kind((*value[:index], other, *value[index + 1 :]))
        yield " longer", kind((*value, value[-1]))
        yield " backwards", value[::-1]
    else:
        yield "", value + ("x" if isinstance(value, str) else 1)


CHANGED = dict(changed(FULL))


def test_the_changes_reach_every_field():
    names = [field.name for field in fields(Recipe) if field.name != "data"]
    names += [f"data{field.name}" for field in fields(DataRecipe)]
    assert all(any(place.startswith(name) for place in CHANGED) for name in names)
    assert {"training.lr", "classes[1][0]", "dataoptions.classes[0]", "parents without model"} <= CHANGED.keys()


@pytest.mark.parametrize("place", CHANGED)
def test_a_change_at_any_depth_changes_the_key(place):
    assert key(CHANGED[place]) != key(FULL)


# ---- how, not what ---------------------------------------------------------------------------------------------------


def test_how_a_stage_is_run_is_no_part_of_it():
    from dfcil_core.run_stage import Execution  # which loads torch

    how = {field.name for options in (Options, Execution) for field in fields(options)}
    what = {field.name for part in (Recipe, DataRecipe) for field in fields(part)}
    # In a recipe `device` is the kind of the device and `plugin` the digest of a source; in an execution, which device
    # it is, and where the source lies.
    assert how & what == {"device", "plugin"}
    assert {"workers", "per_gpu", "data_root", "saves", "save_every", "attempts", "report"} <= how
