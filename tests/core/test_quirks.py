"""`quirks: iccv2021`: each quirk changes what the method's docstring says of it, and nothing else.

What abd's, e2e's, bic's and lwf-mc's quirks make of a loss stands in test_losses_of_methods.py, in numbers; what
rehearsal's make of a memory, in test_memory.py. All methods but r-dfcil start as the public code's torch made them.
"""

import inspect
import re
from types import SimpleNamespace

import pytest
import torch

from dfcil_core import artifacts, config
from dfcil_core.checkpoint import load_tensors
from dfcil_core.memory import Memory
from dfcil_core.methods import METHODS
from dfcil_core.networks import build as networks
from dfcil_core.networks import generator as dreaming
from dfcil_core.networks.correction import Correction
from tests.support.helpers import plan_of, run_plan, stages

QUIRKY = {"abd", "lwf-mc", "rehearsal", "lwf-coreset", "e2e", "bic"}
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
    "upper-bound": {"learn 1"},  # the only stage it has: one task of all classes
    "r-dfcil": set(),
    "lwf-mc": {"learn 1", "learn 2", "learn 3"},
    "deep-inversion": {"learn 1", "dream 1"},
    "lwf-synthetic": {"learn 1", "dream 1"},
    "abd": {"learn 1", "learn 2", "learn 3", "dream 1"},
    "rehearsal": {"learn 1", "remember 1", "remember 2"},
    "lwf-coreset": {"learn 1", "remember 1", "remember 2"},
    "e2e": {"learn 1", "learn 2", "learn 3"},
    "bic": {"learn 1", "learn 2", "learn 3"},
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
    assert changed == CHANGED.get(name, {"learn 1"})


@pytest.mark.parametrize("name", METHODS)
def test_no_stage_is_shared_with_one_of_another_arithmetic_but_r_dfcils(name):
    papers, public = (set(plan_of(name, SIZES, quirks=quirks).stages) for quirks in ("none", "iccv2021"))
    assert papers == public if name == "r-dfcil" else not papers & public


@pytest.mark.parametrize("name", METHODS)
def test_the_quirks_have_a_version_where_they_are_on_and_nowhere_else(name):
    for quirks in ("none", "iccv2021"):
        for stage, recipe in recipes(name, quirks).items():
            acting = quirks == "iccv2021" and stage in CHANGED.get(name, {"learn 1"})
            assert (recipe.settings.get("quirks") == "iccv2021") == acting
            assert recipe.versions.get("quirks") == (config.QUIRKS_VERSION if acting else None)


def test_a_first_task_is_shared_under_the_quirks_too_by_those_that_begin_alike():
    plan = plan_of(["base", "lwf", "deep-inversion", "rehearsal", "bic"], SIZES, quirks="iccv2021")
    assert len({job.learn[0] for job in plan.jobs}) == 1
    assert plan.stages[plan.jobs[0].learn[0]].recipe.method == "cross-entropy"


def test_a_fresh_generator_for_every_task_says_how_it_starts_for_every_task(monkeypatch):
    monkeypatch.setattr(METHODS["abd"], "continues_generator", False)
    told = [stage.recipe.settings.get("quirks") for stage in stages(plan_of("abd", SIZES, quirks="iccv2021"), "dream")]
    assert told == ["iccv2021"] * 2


@pytest.mark.parametrize("name", METHODS)
def test_the_docstring_lists_a_quirky_methods_quirks(name):
    # Python 3.13 takes the indentation off itself.
    listed = re.search(r"Quirks \(`quirks: iccv2021`\).*?:\n1\. ", inspect.cleandoc(METHODS[name].__doc__))
    assert bool(listed) == (name in QUIRKY)


# ---- how networks start ----------------------------------------------------------------------------------------------


def scales(module):
    return [layer.weight for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d) and layer.affine]


def assert_uniform(values, low, high):
    """Within the bounds, near both, and with the mean and the deviation of U(low, high), to four standard errors."""
    values, width = values.detach(), high - low
    assert low <= values.min() < low + 0.05 * width and high - 0.05 * width < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 4 * width / 12**0.5 / len(values) ** 0.5
    assert values.std() == pytest.approx(width / 12**0.5, rel=0.15)


BUILT = {
    "resnet32": lambda rng, *how: networks.build("resnet32", 200, 3, rng, *how),
    "resnet18": lambda rng, *how: networks.build("resnet18", 200, 3, rng, *how),
    "generator": lambda rng, *how: dreaming.build_generator(32, 3, rng, *how),
}


@pytest.mark.parametrize("name", BUILT)
def test_networks_start_as_the_public_codes_torch_made_them(name):
    papers, public = (BUILT[name](torch.Generator().manual_seed(0), quirks) for quirks in ("none", "iccv2021"))
    drawn = {id(scale) for scale in scales(public)}
    assert drawn
    if name != "generator":
        drawn.add(id(public.head.bias))
        bound = {"resnet32": 1 / 8, "resnet18": 512**-0.5}[name]
        assert_uniform(public.head.bias, -bound, bound)
        assert not papers.head.bias.any()
    for (at, one), other in zip(papers.named_parameters(), public.parameters(), strict=True):
        assert torch.equal(one, other) == (id(other) not in drawn), at
    assert all((scale == 1).all() for scale in scales(papers))
    assert_uniform(torch.cat(scales(public)), 0, 1)


def test_the_draws_come_after_all_others_from_the_same_stream_in_the_order_of_the_layers():
    rng = torch.Generator().manual_seed(3)
    papers = networks.build("resnet8", 10, 3, rng)
    expected = [torch.empty(len(scale)).uniform_(generator=rng) for scale in scales(papers)]
    bias = torch.empty(10).uniform_(-1 / 8, 1 / 8, generator=rng)
    public = networks.build("resnet8", 10, 3, torch.Generator().manual_seed(3), "iccv2021")
    assert all(torch.equal(one, other) for one, other in zip(expected, scales(public), strict=True))
    assert torch.equal(public.head.bias, bias)


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
        context = SimpleNamespace(
            quirks=quirks, task=task, student=student, new_images=None, phase=lambda **of: SimpleNamespace(**of)
        )
        next(METHODS["abd"]().phases(context))
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
    # After task 1 there is nothing to draw again, and each of the classes has enough images for its share.
    assert same(*(files(at, plan, "remember", 1, artifacts.MEMORY) for at, plan in ((folder, papers), (other, public))))
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


@pytest.fixture
def alike(monkeypatch):
    """Takes the quirk of how a network starts from e2e and bic, to see what their own make of the same one."""
    for name in ("e2e", "bic"):
        monkeypatch.setattr(METHODS[name], "abd_protocol", False)


def test_e2es_balanced_phase_has_another_target_and_the_first_is_the_same(both, alike):
    (folder, papers), (other, public) = both("e2e", memory=12)
    records = {}
    for at, plan in ((folder, papers), (other, public)):
        records[at] = files(at, plan, "learn", 2, artifacts.NETWORK), files(at, plan, "learn", 2, artifacts.MEMORY)
    (network, chosen), (quirky, quirkily_chosen) = records[folder], records[other]
    assert same(chosen, quirkily_chosen)
    assert {name for name in network if not torch.equal(network[name], quirky[name])} == {"head.weight", "head.bias"}


def test_bic_tests_its_raw_logits_and_learns_the_same(both, alike):
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
