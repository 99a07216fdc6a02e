"""Data sets that torchvision downloads, unpacks and checks, and what every source makes of its arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dfcil_core.config import DataRecipe
from dfcil_core.data.errors import DataMismatch, MissingData

if TYPE_CHECKING:
    from dfcil_core.data.images import Images


def of_torchvision(dataset: Callable, recipe: DataRecipe, folder: Path, train: bool, remedy: str):
    """A torchvision data set: as it lies in the folder, else unpacked or downloaded there, one process at a time."""
    from filelock import FileLock

    try:
        return dataset(str(folder), train=train, download=False)
    except RuntimeError:
        # Not there, or damaged: torchvision raises the same error for both, and mends both.
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{recipe.name}.lock"):
                return dataset(str(folder), train=train, download=True)
        except (OSError, RuntimeError) as error:
            raise MissingData(
                f"{recipe.name} is not in {folder} and could not be downloaded ({error}); {remedy}, "
                "or set `dataset: {name: ..., root: FOLDER}` or `--data-root FOLDER` to where it lies"
            ) from error


def as_images(pixels: np.ndarray, labels: np.ndarray) -> Images:
    """Arrays as they are used."""
    from dfcil_core.data.images import Images

    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels.astype(np.int64)))


def check_digest(recipe: DataRecipe, found: str, remedy: str = "") -> None:
    """Raise DataMismatch unless the content is what the stage's identity says."""
    if recipe.digest != found:
        raise DataMismatch(
            f"{recipe.name}: the content's digest is {found}, the stage's identity says {recipe.digest}{remedy}"
        )
