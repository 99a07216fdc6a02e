"""Opening a data set: its images as tensors, checked against the digest that the recipe gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dfcil_core.config import DataRecipe
from dfcil_core.data import DATASETS, FIXED, IMAGE_FILES, decoded
from dfcil_core.data.sources import SOURCES
from dfcil_core.streams import stream

_MOMENTS_AT_ONCE = 2048


class ForbiddenImage(Exception):
    """A stage asked for a training image that its task, or its memory, does not give it."""


@dataclass(frozen=True)
class Images:
    """Pixels in 0..255, (n, channels, height, width), uint8 or float32, and the data set's labels, (n,) int64."""

    pixels: Tensor
    labels: Tensor

    def take(self, positions: Tensor) -> Images:
        """The images at these positions."""
        return Images(self.pixels[positions], self.labels[positions])


@dataclass(frozen=True)
class ImageData:
    """An opened data set. `mean` and `std` per channel of pixels in [0, 1]."""

    train: Images
    test: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def positions(self, classes: tuple[int, ...]) -> Tensor:
        """Positions of the training images of these classes, in the data set's order."""
        return torch.isin(self.train.labels, torch.tensor(classes)).nonzero().flatten()


class Reader:
    """The training images that a stage may read, and no others: the rest never reaches it.

    Positions are those of the data set's training part, so that a memory means the same to every stage.
    """

    def __init__(self, data: ImageData, allowed: Tensor, device: torch.device) -> None:
        allowed = allowed.unique()
        self._images = data.train.take(allowed)
        self._slot = torch.full((len(data.train.labels),), -1)
        self._slot[allowed] = torch.arange(len(allowed))
        self._pixels = self._images.pixels.to(device)

    def check(self, positions: Tensor) -> None:
        """Raise ForbiddenImage if any of these positions may not be read."""
        forbidden = positions[self._slot[positions] < 0]
        if len(forbidden):
            first = int(forbidden[0])
            raise ForbiddenImage(f"{len(forbidden)} images that this stage may not read, the first at {first}")

    def pixels(self, positions: Tensor) -> Tensor:
        """The pixels at these positions, on the device. Positions must have passed `check`."""
        return self._pixels[self._slot[positions].to(self._pixels.device)]

    def labels(self, positions: Tensor) -> Tensor:
        """The data set's labels at these positions, on the CPU."""
        self.check(positions)
        return self._images.labels[self._slot[positions]]


def open_data(recipe: DataRecipe, root: str | None) -> ImageData:
    """Open the data set that the recipe names, at its image size.

    Raises MissingData (sources.py) when its files are not there, DataMismatch when its content is not the recipe's.
    """
    train, test = SOURCES[recipe.name](recipe, root)
    if recipe.name in FIXED:
        train, test = (
            _first(images, recipe.options.get("classes"), recipe.options.get(f"{part}_per_class"))
            for part, images in (("train", train), ("test", test))
        )
    train, test = (_resized(images, recipe.image_size) for images in (train, test))
    if recipe.holdout:
        train, test = _held_out(train, recipe.holdout, recipe.holdout_seed)
    return ImageData(train, test, *_normalisation(recipe, train))


def _normalisation(recipe: DataRecipe, train: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The recipe's mean and standard deviation, else the published ones of the data set, else those of its images."""
    info = DATASETS[recipe.name]
    if recipe.mean and recipe.std:
        return recipe.mean, recipe.std
    if info.mean and info.std:
        return info.mean, info.std
    return decoded.moments(recipe, train) if recipe.name in IMAGE_FILES else moments(train)


def _first(images: Images, classes: int | None, count: int | None) -> Images:
    """The first classes, and the first images of each, in the data set's order; None: all."""
    if classes is None and count is None:
        return images
    labels = images.labels.unique(sorted=True)[:classes]
    positions = torch.cat([(images.labels == label).nonzero().flatten()[:count] for label in labels])
    return images.take(positions.sort().values)


def _resized(images: Images, size: int) -> Images:
    pixels = images.pixels
    if pixels.shape[-1] != size or pixels.shape[-2] != size:
        mode = {"mode": "nearest"} if size % pixels.shape[-1] == 0 else {"mode": "bilinear", "antialias": True}
        pixels = interpolate(pixels.float(), size=(size, size), **mode)
    if pixels.shape[1] == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    return Images(pixels.contiguous(), images.labels)


def _held_out(train: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Split off `share` of each class's training images, at least one; they stand for the test images."""
    rng = stream(seed, "holdout", 0)
    held = torch.zeros(len(train.labels), dtype=torch.bool)
    for label in train.labels.unique(sorted=True):
        positions = (train.labels == label).nonzero().flatten()
        count = max(1, round(share * len(positions)))
        held[positions[torch.randperm(len(positions), generator=rng)[:count]]] = True
    return train.take((~held).nonzero().flatten()), train.take(held.nonzero().flatten())


def moments(train: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, of pixels in [0, 1], over all training images."""
    values = train.pixels[:, 0].numel()

    def mean(of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        # Some at a time: in double precision they take eight times as much memory.
        parts = (
            of(part.numpy().astype(np.float64) / 255).sum((0, 2, 3)) for part in train.pixels.split(_MOMENTS_AT_ONCE)
        )
        return sum(parts) / values

    mean_of_channels = mean(lambda part: part)
    variance = mean(lambda part: np.square(part - mean_of_channels[:, None, None]))
    return tuple(mean_of_channels.tolist()), tuple(np.sqrt(variance).tolist())
