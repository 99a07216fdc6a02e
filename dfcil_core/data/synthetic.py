"""Images made on the spot: as many classes, images and pixels as are asked for, and no files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from dfcil_core.config import DataRecipe

if TYPE_CHECKING:
    from dfcil_core.data.images import Images

_GRID = 4  # colours of a class are set on a grid of 4 x 4 points
_DEVIATION = 0.35  # how far an image's grid may lie from its class's, of the range from black to white
_GRAIN = 0.1
_PARTS = {"train": 0, "test": 1}


def synthetic(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """`options`: `classes`, `train_per_class`, `test_per_class`. Labels go round: 0, 1, ..., 0, 1, ...

    A class is a smooth pattern of colours; each of its images is that pattern, distorted and grained. The same options
    and size are the same images on every machine, and more images a class begin with those of fewer.
    """
    from dfcil_core.data.images import Images

    classes, size = recipe.options["classes"], recipe.image_size
    parts = []
    for part, number in _PARTS.items():
        count = recipe.options[f"{part}_per_class"]
        pixels = np.empty((count, classes, 3, size, size), np.uint8)
        for label in range(classes):
            pixels[:, label] = _of_class(label, number, count, size)
        labels = torch.arange(classes).repeat(count)
        parts.append(Images(torch.from_numpy(pixels.reshape(-1, 3, size, size)), labels))
    return parts[0], parts[1]


def _of_class(label: int, part: int, count: int, size: int) -> np.ndarray:
    # Uniform numbers and sums in double precision: a bell curve's logarithms could differ between processors.
    pattern = np.random.default_rng([label]).random((3, _GRID, _GRID))
    rng = np.random.default_rng([label, 1 + part])
    images = np.empty((count, 3, size, size), np.uint8)
    for position in range(count):
        grid = pattern + _DEVIATION * (2 * rng.random(pattern.shape) - 1)
        image = _enlarged(grid, size) + _GRAIN * (2 * rng.random((3, size, size)) - 1)
        images[position] = np.rint(255 * np.clip(image, 0, 1))
    return images


def _enlarged(grid: np.ndarray, size: int) -> np.ndarray:
    """(3, 4, 4) to (3, size, size), linear between the points."""
    places = np.linspace(0, _GRID - 1, size)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(_GRID)))
    return weights @ grid @ weights.T
