"""A stage that does nothing: made-up right answers, so that everything after it has something to show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfcil_core.config import Recipe
from dfcil_core.counts import group_name
from dfcil_core.execution import Execution as Execution


def run_stage(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    labels = [label for task in recipe.classes for label in task]
    return {
        "evaluation": {
            "images": {str(label): 40 for label in labels},
            "correct": {str(label): 30 for label in labels},
            "correct_local": {group_name(task): 35 * len(task) for task in recipe.classes},
        },
        "curves": {"loss": [1.0, 0.5], "lr": [0.1, 0.1]},
    }
