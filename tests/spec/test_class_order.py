"""`class_order:`: each form, what is wrong with one, and several of them in a sweep."""

import random

import numpy as np
import pytest

from orchestrator.errors import SpecError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.class_order import numpy_order
from orchestrator.spec.load import parse_spec

SPEC = "name: s\ndataset: {name: cifar10}\nmethods: [base]\ntasks: [5]\nseeds: [0, 1]\n"
NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BACKWARDS = tuple(range(9, -1, -1))


def orders(class_order, rest=""):
    """Name of each job's order to its labels, for each seed."""
    plan = make_plan(parse_spec(f"{SPEC}class_order: {class_order}\n{rest}", "s.yaml"))
    return {(job.split.order.name, job.seed): job.class_order for job in plan.jobs}


def shuffled(seed):
    labels = list(range(10))
    random.Random(seed).shuffle(labels)
    return tuple(labels)


def keys(text):
    return list(make_plan(parse_spec(text, "s.yaml")).stages)


def test_shuffled_is_what_is_not_said():
    assert orders("shuffled") == {("shuffled", seed): shuffled(seed) for seed in (0, 1)}
    assert keys(SPEC + "class_order: shuffled\n") == keys(SPEC)


def test_natural_is_that_of_the_labels_for_every_seed():
    assert orders("natural") == {("natural", seed): tuple(range(10)) for seed in (0, 1)}


def test_a_numpy_seed_is_the_permutation_that_other_libraries_draw():
    # numpy.random.seed(1993); numpy.random.permutation(10), as PyCIL has it.
    assert orders("{numpy_seed: 1993}")["numpy-1993", 1] == (4, 2, 7, 6, 0, 3, 5, 8, 9, 1)
    state = np.random.RandomState(1993)
    as_a_list = list(range(50))
    state.shuffle(as_a_list)  # the public code of Smith et al. shuffles the labels of ImageNet's 50 classes
    assert numpy_order(50, 1993) == tuple(as_a_list)


@pytest.mark.parametrize("given", [list(BACKWARDS), NAMES[::-1], [*BACKWARDS[:5], *NAMES[4::-1]]])
def test_a_list_is_the_order_by_labels_or_by_names(given):
    found = orders(given)
    assert list(found.values()) == [BACKWARDS, BACKWARDS]
    assert {name for name, _ in found} == {"given-ec0f52"}  # of the labels alone, so that sweeps agree on it


def test_several_orders_are_a_dimension_of_the_sweep():
    given = f"[natural, shuffled, {{numpy_seed: 1993}}, {{name: back, classes: {list(BACKWARDS)}}}]"
    plan = make_plan(parse_spec(f"{SPEC}class_order: {given}\n", "s.yaml"))
    assert [job.name for job in plan.jobs if job.seed == 0] == [
        "base · 5 tasks (natural order) · seed 0",
        "base · 5 tasks · seed 0",
        "base · 5 tasks (numpy-1993 order) · seed 0",
        "base · 5 tasks (back order) · seed 0",
    ]
    assert [job.slug for job in plan.jobs if job.seed == 1][:2] == ["base-5@natural-s1", "base-5-s1"]
    assert plan.jobs[-1].tasks[0] == (9, 8)


def test_two_lists_are_two_orders():
    assert {name for name, _ in orders([list(BACKWARDS), NAMES])} == {"given-ec0f52", "natural"}


def test_an_order_shares_its_stages_whatever_it_is_called():
    assert keys(SPEC + "class_order: natural\n") == keys(f"{SPEC}class_order: {NAMES}\n")
    assert not set(keys(SPEC + "class_order: natural\n")) & set(keys(SPEC))


def test_exclude_takes_an_order_out():
    found = orders("[natural, shuffled]", "exclude: [{class_order: natural, seed: 1}]\n")
    assert set(found) == {("natural", 0), ("shuffled", 0), ("shuffled", 1)}


MANY = "dataset: {name: synthetic, classes: 100000}\nmethods: [base]\ntasks: [5]\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("alphabetical", "6:14: class_order: unknown class order 'alphabetical'. Choices: shuffled, natural. Write it"),
        ("naturl", "6:14: class_order: unknown class order 'naturl'. Did you mean 'natural'?"),
        ("", "6:1: class_order: the class order is empty"),
        ("{numpy_seed: -1}", "6:27: class_order.numpy_seed: -1 is too small. It must be at least 0"),
        ("{numpy_seed: 1, seed: 2}", "6:30: class_order.seed: unknown key 'seed'"),
        ("{classes: [0]}", "6:14: class_order.name: is missing"),
        ("{name: natural, classes: [0]}", "6:21: class_order.name: 'natural' cannot name an order of your own"),
        ("{name: 3of5, classes: [0]}", "6:21: class_order.name: '3of5' cannot name an order of your own"),
        ("[0, 1, 10]", "6:21: class_order.2: 10 is no label of cifar10. They are 0 to 9"),
        ("[0, 1, cta]", "6:21: class_order.2: cifar10 has no class 'cta'. Did you mean 'cat'?"),
        ("[0, cat, 3]", "6:23: class_order.2: 3 is given twice. Give each class once"),
        ("[0, 1.5]", "6:18: class_order.1: 1.5 is no class. Give a label, as 3, or a class's name"),
        ("[0, 1, 3]", "6:14: class_order: 7 of 10 classes are missing: bird, deer, dog, frog, horse and 2 more."),
        ("[natural, natural]", "6:24: class_order.1: 'natural' is the same order as natural. Give each once"),
        (f"[natural, {NAMES}]", '6:24: class_order.1: ["airplane",'),
        ("[natural, bird]", "6:24: class_order.1: unknown class order 'bird'"),
        (
            f"[{{name: a, classes: {NAMES}}}, {{name: a, classes: {NAMES[::-1]}}}]",
            "class_order.1.name: the name 'a' is taken",
        ),
        ("natural\nexclude: [{class_order: numpy-3}]", "exclude.0.class_order: 'numpy-3' is no class order of this"),
        ("natural\nexclude: [{class_order: natural}]", "7:10: exclude: leaves no job in the sweep"),
    ],
)
def test_a_wrong_order_is_told_with_its_place(given, message):
    with pytest.raises(SpecError) as caught:
        parse_spec(f"{SPEC}class_order: {given}\n", "s.yaml")
    assert any(message in str(problem) for problem in caught.value.problems), list(map(str, caught.value.problems))


def test_names_that_are_not_known_are_not_guessed():
    with pytest.raises(SpecError, match="the names of the classes of synthetic are not known"):
        parse_spec("name: s\ndataset: synthetic\nmethods: [base]\ntasks: [5]\nclass_order: [cat]\n", "s.yaml")


def test_too_many_orders_are_refused_before_they_are_drawn():
    seeds = ", ".join(f"{{numpy_seed: {seed}}}" for seed in range(101))
    with pytest.raises(SpecError, match="101 orders of 100000 classes are too many"):
        parse_spec(f"name: s\n{MANY}class_order: [{seeds}]\n", "s.yaml")
