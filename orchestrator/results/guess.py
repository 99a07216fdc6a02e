"""How long stages will take on a CPU before any like them was run: within a factor of three, for a first look.

By what two sweeps took on two cores of an AMD EPYC, one thread a stage (docs/performance.md, sweeps/demo.yaml,
sweeps/cifar100-small.yaml). Where the store has stages like these, `estimate.py` knows better.
"""

from dfcil_core.config import Recipe
from dfcil_core.networks.catalog import BACKBONES
from orchestrator.plan.plan import Plan
from orchestrator.results.work import images, images_a_class

_MEGA = {"resnet8": 13, "resnet14": 27, "resnet20": 41, "resnet32": 69}
"""Millions of multiplications of each network on an image of 32 x 32 pixels."""
_SIZE = 32
_OVERHEAD = 1e-4  # seconds for each image that is trained on, whatever the network
_A_MEGA = 1e-4  # seconds for each, forward and back
_FURTHER = {
    "lwf": 1.25,
    "lwf-mc": 1.2,
    "dgr": 14.0,
    "deep-inversion": 10.7,
    "lwf-synthetic": 6.7,
    "abd": 9.0,
    "r-dfcil": 4.2,
    "rehearsal": 2.0,
    "lwf-coreset": 2.4,
    "e2e": 2.1,
    "bic": 1.6,
}
"""From the second task on, in times of plain cross-entropy on the new images: what `cifar100-small` measured."""
_STEP, _DREAMED, _DREAMED_A_MEGA = 0.01, 4e-3, 2.4e-4  # seconds of a dreaming step, and of each image in it
_REMEMBER = 0.5


def guess(plan: Plan) -> float | None:
    """Seconds of work for one CPU core; None on a GPU, and for a network of which nothing was measured."""
    if plan.device != "cpu":
        return None
    a_class = images_a_class(plan.spec.dataset.info)
    seconds = [_stage(stage.recipe, a_class) for stage in plan.stages.values()]
    return None if None in seconds else sum(each for each in seconds if each is not None)


def _stage(recipe: Recipe, a_class: float) -> float | None:
    if recipe.kind == "remember":
        return _REMEMBER
    name = recipe.training.get("backbone", "")
    mega = _MEGA.get((BACKBONES[name].variant_of or name) if name in BACKBONES else name)
    if mega is None:
        return None
    pixels = (recipe.data.image_size / _SIZE) ** 2
    if recipe.kind == "dream":
        steps, batch = recipe.settings["steps"], recipe.training.get("batch_size", 128)
        return float(steps * (_STEP + batch * pixels * (_DREAMED + _DREAMED_A_MEGA * mega)))
    times = _FURTHER.get(recipe.method, 1.0) if recipe.parents else 1.0
    return float(images(recipe, a_class=a_class) * times * (_OVERHEAD + pixels * _A_MEGA * mega))
