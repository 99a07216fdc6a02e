"""How much work a stage is, told by recipes alone, and which stages' images take alike."""

import pytest

from orchestrator.plan.plan import make_plan
from orchestrator.results.work import alike, images
from orchestrator.spec.load import parse_spec

SPEC = """\
name: s
dataset: {name: cifar10, image_size: 32}
methods: [METHODS]
tasks: [5]
seeds: [0]
training: {epochs: 3, backbone: resnet8, batch_size: 32}
dreaming: {steps: 40}
memory: 12000
"""
CLASS = 5000  # training images


def stages(methods, text=SPEC):
    """By kind, method and task: the recipe of each, and of the stage that chose its memory."""
    plan = make_plan(parse_spec(text.replace("METHODS", methods), "s"))
    found = {}
    for stage in plan.stages.values():
        recipe, chosen = stage.recipe, plan.stages.get(stage.recipe.parents.get("memory"))
        found[recipe.kind, recipe.method, recipe.task] = recipe, chosen and chosen.recipe
    return found


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (("learn", "cross-entropy", 1), 3 * 2 * CLASS),
        (("dream", "deep-inversion", 1), 40 * 32),
        (("learn", "abd", 3), 3 * 2 * CLASS),
        (("learn", "rehearsal", 3), 3 * (2 + 2) * CLASS),  # as many old images are drawn
        (("learn", "bic", 2), 3 * (2 + 2) * CLASS),  # no more than there were
        (("learn", "bic", 4), 3 * (2 * CLASS + 12000)),
        (("remember", "herding", 1), 2 * CLASS),
        (("remember", "herding", 3), 2 * CLASS + 12000),
    ],
    ids=str,
)
def test_the_images_that_a_stage_looks_at(stage, expected):
    assert images(*stages("abd, rehearsal, bic")[stage]) == expected


def test_a_class_has_the_images_that_the_recipe_tells_or_those_given():
    part = SPEC.replace("image_size: 32", "image_size: 32, train_per_class: 100")
    recipe, _ = stages("base", part)["learn", "base", 2]
    assert images(recipe, a_class=7) == 3 * 2 * 100
    held_out = SPEC.replace("image_size: 32", "image_size: 32, holdout: 0.2")
    recipe, _ = stages("base", held_out)["learn", "base", 2]
    assert images(recipe, a_class=7) == pytest.approx(3 * 2 * 0.8 * CLASS)
    own = "{name: folder, classes: [a, b, c, d, e]}"
    recipe, _ = stages("base", SPEC.replace("{name: cifar10, image_size: 32}", own))["learn", "base", 2]
    assert images(recipe, a_class=7) == 3 * 1 * 7


def test_the_first_task_of_a_method_is_near_its_later_ones_and_those_are_alike():
    found = stages("dgr")
    first, second, third = (alike(found["learn", "dgr", task][0]) for task in (1, 2, 3))
    assert first != second == third and first[:-2] == second[:-2]
    other = alike(stages("base")["learn", "base", 2][0])
    assert other[:-2] != second[:-2] and other[:-3] == second[:-3]
    reduced = SPEC.replace("epochs: 3", "epochs: 3, precision: bfloat16")
    other = alike(stages("dgr", reduced)["learn", "dgr", 2][0])
    assert other != second and other[:-1] == second[:-1]
    kinds = {alike(recipe) for key, (recipe, _) in stages("bic").items() if key[0] == "remember"}
    assert len(kinds) == 1
