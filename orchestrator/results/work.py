"""How much work a stage is, and which stages' work takes alike: by its recipe, as it is in the plan and in the store.

Work is counted in images, each as often as it is looked at: those that are trained on, old ones among them, times
epochs (`learn`), those that are dreamed (`dream`), or those that are chosen from (`remember`).
"""

from dfcil_core.config import Recipe
from dfcil_core.data.catalog import DATASETS, FIXED, DatasetInfo
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method

A_CLASS = 500.0
"""Training images of a class where nothing tells: as many as CIFAR-100 and Tiny ImageNet have."""
# Times what an image of plain learning takes: with dreamed images beside it, with a teacher, and one that is dreamed
# (docs/performance.md).
_WITH_DREAMS, _DISTILLED, _DREAMED = 7.0, 1.3, 4.0
_WHOLE = {name: DATASETS[name].train_images / DATASETS[name].classes for name in FIXED}


def images_a_class(info: DatasetInfo) -> float:
    """Training images of a class of a data set; `A_CLASS` for a folder that was not read."""
    return info.train_images / info.classes if info.train_images and info.classes else A_CLASS


Like = tuple[str | int | None, ...]
"""What stages have in common whose images take about as long."""
FURTHER = 3
"""How many of its last parts may be left out, from the last one on."""


def images(recipe: Recipe, memory: Recipe | None = None, a_class: float = A_CLASS) -> float:
    """How many images a stage looks at, each as often as it does.

    `memory`: the recipe of the stage that chose its old images, which are not counted without it. `a_class`: training
    images of a class, for a data set of which the recipe does not tell how many it has.
    """
    if recipe.kind == "dream":
        return float(max(1, recipe.settings["steps"] * recipe.training["batch_size"]))
    data = recipe.data
    told = data.options.get("train_per_class")
    each = (told if isinstance(told, int) else _WHOLE.get(data.name, a_class)) * (1 - data.holdout)
    new, old = each * len(recipe.classes[-1]), 0.0
    if memory is not None and memory.kind == "remember":
        # A memory chosen by chance is drawn from: as many old images as there are new ones (`memory.drawn_pool`).
        drawn = recipe.kind == "learn" and memory.settings.get("selection") == "random"
        old = new if drawn else min(memory.settings["memory"], each * sum(map(len, recipe.classes[:-1])))
    return float(max(1.0, recipe.training.get("epochs", 1) * (new + old)))


def alike(recipe: Recipe) -> Like:
    """What tells stages apart whose images do not take alike; without one to `FURTHER` at its end, those that are near.

    Kind, image size, network and device kind; the method; whether it is a first task; the precision. Of which data set
    they are makes no difference to an image.
    """
    backbone, precision = recipe.training.get("backbone"), recipe.training.get("precision")
    first = recipe.kind != "learn" or recipe.task == 1
    return recipe.kind, recipe.data.image_size, backbone, recipe.device, recipe.method, first, precision


def cost(recipe: Recipe) -> float:
    """About how long an image takes, in times of one of plain learning; good for comparing stages alone."""
    if recipe.kind != "learn":
        return _DREAMED if recipe.kind == "dream" else 1.0
    others = _WITH_DREAMS if "generator" in recipe.parents else _DISTILLED if recipe.parents else 1.0
    return others * METHODS.get(recipe.method, Method).step_cost
