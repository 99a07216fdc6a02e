"""No worker idles while it could work: every bundled sweep ends close to the earliest moment that can be."""

import pytest

import sweeps
from orchestrator.engine.simulate import makespan, shortest
from orchestrator.plan.plan import make_plan
from orchestrator.results.estimate import Rates
from orchestrator.spec.load import load_spec
from tests.support.fake_stages import make_stage

# Seconds an epoch and new class (`learn`) as recorded with `cifar100-small`: 100 images a class, ResNet-8, 32 x 32, on
# two cores. After the first task; the first is `cross-entropy` but for `dgr`.
RECORDED = {
    "cross-entropy": 0.26,
    "base": 0.13,
    "lwf": 0.16,
    "lwf-mc": 0.16,
    "dgr": 1.87,
    "deep-inversion": 1.40,
    "lwf-synthetic": 0.88,
    "abd": 1.18,
    "r-dfcil": 0.55,
    "rehearsal": 0.26,
    "lwf-coreset": 0.32,
    "e2e": 0.28,
    "bic": 0.21,
}
DREAM = 0.68  # seconds a step of `dream`, of the same; and a stage of `remember` takes 1.5
# How much longer that is with larger images: by their pixels; and for `learn` with more of them in a class.
PIXELS = {8: 0.0625, 16: 0.25, 32: 1.0, 64: 4.0, 224: 49.0}
IMAGES = {"digits": 1.44, "cifar10": 50.0, "cifar100": 5.0, "tiny-imagenet": 5.0, "folder": 13.0}
BUNDLED = list(sweeps.bundled())


def seconds(stage):
    recipe = stage.recipe
    pixels = PIXELS[recipe.data.image_size]
    if recipe.kind == "learn":
        first = "cross-entropy" if recipe.task == 1 and recipe.method != "dgr" else recipe.method
        images = recipe.data.options.get("train_per_class", 100 * IMAGES[recipe.data.name]) / 100
        return recipe.training["epochs"] * len(recipe.classes[-1]) * RECORDED[first] * pixels * images
    return recipe.settings["steps"] * DREAM * pixels if recipe.kind == "dream" else 1.5


def test_the_makespan_by_hand():
    a = make_stage("a")
    b, c, d = (make_stage(name, a) for name in "bcd")
    e = make_stage("e", d)
    stages = {stage.key: stage for stage in (a, b, c, d, e)}
    durations = dict(zip(stages, (2.0, 3.0, 3.0, 1.0, 5.0), strict=True))
    # The chain a, d, e goes first; beside it b, then c: 2 + 3 + 3 = 2 + 1 + 5.
    assert makespan(stages, durations, 2) == 8.0
    assert shortest(stages, durations, 2) == 8.0  # the longest chain; of the work it is 7 for each
    assert makespan(stages, durations, 1) == shortest(stages, durations, 1) == 14.0
    # A schedule that believes b and c to be long begins with them, and e ends late.
    assert makespan(stages, durations, 2, lambda stage: 9.0 if stage in (b, c) else 1.0) == 11.0


@pytest.mark.parametrize("workers", [2, 8, 64])
@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_sweep_ends_within_a_twentieth_of_the_earliest_end(name, workers):
    stages = make_plan(load_spec(name)).stages
    durations = {key: seconds(stage) for key, stage in stages.items()}
    bound = shortest(stages, durations, workers)
    assert makespan(stages, durations, workers) <= 1.05 * bound
    # The engine guesses lengths before anything like a stage was recorded.
    assert makespan(stages, durations, workers, Rates().weight) <= 1.05 * bound
