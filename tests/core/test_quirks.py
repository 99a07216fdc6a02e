"""`quirks: iccv2021`: each quirk changes what the method's docstring says of it, and nothing else.

What abd's, e2e's and bic's quirks make of a loss stands in test_losses_of_methods.py, in numbers; what rehearsal's
makes of a memory over many tasks, in test_memory.py.
"""

import re
from types import SimpleNamespace

import pytest
import torch

from dfcil_core import artifacts, networks
from dfcil_core.checkpoint import load_tensors
from dfcil_core.memory import Memory
from dfcil_core.methods import METHODS
from dfcil_core.networks.correction import Correction
from tests.support.helpers import plan_of, run_plan, stages

QUIRKY = {"abd", "rehearsal", "lwf-coreset", "e2e", "bic"}
SIZES = (2, 2, 2)


def recipes(name, quirks):
    """The job's stages in order, by what they are."""
    plan = plan_of(name, SIZES, quirks=quirks)
    (job,) = plan.jobs
    found = [plan.stages[key].recipe for key in job.stages]
    return {f"{recipe.kind} {recipe.task}": recipe for recipe in found}


# ---- where they are said to act --------------------------------------------------------------------------------------

# Stages whose own settings the quirks change; those after them differ through their parents alone.
CHANGED = {
    "abd": {"learn 1", "learn 2", "learn 3"},
    "rehearsal": {"remember 2"},
    "lwf-coreset": {"remember 2"},
    "e2e": {"learn 2", "learn 3"},
    "bic": {"learn 2", "learn 3"},
}


@pytest.mark.parametrize("name", METHODS)
def test_identities_differ_where_the_quirks_act_and_nowhere_else(name):
    changed = set()
    papers, public = recipes(name, "none"), recipes(name, "iccv2021")
    for stage, recipe in papers.items():
        other = public[stage]
        own = [(r.method, r.settings, r.training, r.data, r.versions) for r in (recipe, other)]
        if own[0] != own[1]:
            changed.add(stage)
    assert changed == CHANGED.get(name, set())


@pytest.mark.parametrize("name", sorted(METHODS.keys() - QUIRKY))
def test_a_method_without_quirks_is_the_same_work_with_them(name):
    assert plan_of(name, SIZES).stages.keys() == plan_of(name, SIZES, quirks="iccv2021").stages.keys()


@pytest.mark.parametrize("name", METHODS)
def test_the_docstring_lists_a_quirky_methods_quirks(name):
    listed = re.search(r"Quirks \(`quirks: iccv2021`\).*?:\n    1\. ", METHODS[name].__doc__)
    assert bool(listed) == (name in QUIRKY)


# ---- what they do ----------------------------------------------------------------------------------------------------


def files(folder, plan, kind, task, name):
    (stage,) = [stage for stage in stages(plan, kind) if stage.recipe.task == task]
    return load_tensors(folder / stage.key / name)


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def both(tmp_path):
    """Runs a method as the papers say and as the public code does: (folder, plan) of each, one store."""

    def run(name, sizes=(2, 2), **options):
        plans = [plan_of(name, sizes, quirks=quirks, **options) for quirks in ("none", "iccv2021")]
        for number, plan in enumerate(plans):
            run_plan(plan, tmp_path / str(number))
        return [(tmp_path / str(number), plan) for number, plan in enumerate(plans)]

    return run


@pytest.mark.parametrize("task", [1, 2, 3])
def test_abds_batch_statistics_move_twice_a_step_from_task_two_on(task):
    """Two passes with momentum 0.1 are one with 0.19."""
    moved = {}
    for quirks in ("none", "iccv2021"):
        student = networks.build("resnet8", 4, generator=torch.Generator().manual_seed(0)).train()
        learning = SimpleNamespace(
            quirks=quirks, task=task, student=student, new_images=None, phase=lambda **of: SimpleNamespace(**of)
        )
        next(METHODS["abd"]().phases(learning))
        student(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
        moved[quirks] = student.backbone.normalisation.running_mean.clone()
        if quirks == "none":
            student(torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
            twice = student.backbone.normalisation.running_mean.clone()
    expected = moved["none"] if task == 1 else twice
    torch.testing.assert_close(moved["iccv2021"], expected)
    assert torch.equal(moved["none"], moved["iccv2021"]) == (task == 1)


@pytest.mark.parametrize("name", ["rehearsal", "lwf-coreset"])
def test_rehearsals_memory_has_duplicates_from_task_two_on(name, both):
    (folder, papers), (other, public) = both(name, SIZES, memory=30)
    for task, kinds in ((1, ("learn", "remember")), (2, ("learn",))):
        for kind in kinds:
            file = artifacts.NETWORK if kind == "learn" else artifacts.MEMORY
            assert same(*(files(at, plan, kind, task, file) for at, plan in ((folder, papers), (other, public))))
    kept, again = (
        Memory(**files(at, plan, "remember", 2, artifacts.MEMORY)) for at, plan in ((folder, papers), (other, public))
    )
    assert len(kept.positions) == len(kept.positions.unique()) == 30
    assert len(again.positions) == 30 > len(again.positions.unique())
    new = stages(public, "remember")[1].recipe.classes[-1]
    for label in new:  # of the new classes there is nothing to draw twice
        assert len(again.of(label)) == len(again.of(label).unique())
    held = Memory(**files(other, public, "remember", 1, artifacts.MEMORY))
    assert set(again.positions[~torch.isin(again.labels, torch.tensor(new))].tolist()) <= set(held.positions.tolist())


def test_e2es_balanced_phase_has_another_target_and_the_first_is_the_same(both):
    (folder, papers), (other, public) = both("e2e", memory=12)
    records = {}
    for at, plan in ((folder, papers), (other, public)):
        records[at] = files(at, plan, "learn", 2, artifacts.NETWORK), files(at, plan, "learn", 2, artifacts.MEMORY)
    (network, chosen), (quirky, quirkily_chosen) = records[folder], records[other]
    assert same(chosen, quirkily_chosen)
    assert {name for name in network if not torch.equal(network[name], quirky[name])} == {"head.weight", "head.bias"}


def test_bic_tests_its_raw_logits_and_learns_the_same(both):
    (folder, papers), (other, public) = both("bic", memory=40, training={"epochs": 3, "lr": 0.2})
    networks_, pairs, logits = (
        [files(at, plan, "learn", 2, name) for at, plan in ((folder, papers), (other, public))]
        for name in (artifacts.NETWORK, "bias.safetensors", "logits.safetensors")
    )
    assert same(*networks_) and same(*pairs)
    assert pairs[0]["pairs.0"].tolist() == [1, 0] and pairs[0]["pairs.1"].tolist() != [1, 0]
    correction = Correction([2, 2])
    correction.load_state_dict(pairs[0])
    corrected = correction(logits[1]["logits"]).detach()
    torch.testing.assert_close(corrected, logits[0]["logits"])
    assert not torch.equal(logits[0]["logits"], logits[1]["logits"])
