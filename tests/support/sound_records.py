"""What every record must have, for stages that no training made."""

from typing import Any

from dfcil_core.config import Recipe
from dfcil_core.counts import group_name

IMAGES = 4  # test images a class


def result(recipe: Recipe) -> dict[str, Any]:
    """What a runner must give of a stage: the counts and the curves that its kind has."""
    if recipe.kind == "remember":
        return {}
    if recipe.kind == "dream":
        return {"curves": {"step": [], "loss": []}}
    labels = [str(label) for task in recipe.classes for label in task]
    local = {group_name(task): IMAGES * len(task) for task in recipe.classes}
    images = dict.fromkeys(labels, IMAGES)
    return {"evaluation": {"images": images, "correct": dict(images), "correct_local": local}, "curves": {}}


def told(recipe: Recipe) -> dict[str, Any]:
    """All that a writer must give of a stage beside its names and its files."""
    times = {"started": 1_700_000_000.0, "ended": 1_700_000_001.0, "seconds": 1.0, "attempt": 1}
    return {**times, "provenance": {"versions": {}}, **result(recipe)}
