"""Opening a data set: its images as tensors, checked against the digest that the recipe gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property, lru_cache

import torch
from torch.nn.functional import interpolate

from dfcil_core.config import DataRecipe
from dfcil_core.data import decoded
from dfcil_core.data.catalog import DATASETS, FIXED, IMAGE_FILES
from dfcil_core.data.images import ImageData, Images, moments
from dfcil_core.named import function_of
from dfcil_core.streams import stream

_OF_METHODS = ("augmentation", "mean", "std")
"""Fields of a DataRecipe in which the methods of a sweep differ, and the images do not."""


def open_data(recipe: DataRecipe, root: str | None) -> ImageData:
    """Open the data set that the recipe names, at its image size; to be read only, for it is the next caller's too.

    Raises MissingData (sources.py) when its files are not there, DataMismatch when its content is not the recipe's.
    """
    fields = {name: value for name, value in vars(recipe).items() if name not in _OF_METHODS}
    opened = _opened(json.dumps(fields, sort_keys=True), root)
    return ImageData(opened.train, opened.test, *_normalisation(recipe, opened))


def forget() -> None:
    """Have the next call of `open_data` open the files again."""
    _opened.cache_clear()


class _Opened:
    """A data set's images, and the moments of its training images, computed at first use."""

    def __init__(self, recipe: DataRecipe, train: Images, test: Images) -> None:
        self.recipe, self.train, self.test = recipe, train, test

    @cached_property
    def moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        of_files = self.recipe.name in IMAGE_FILES
        return decoded.moments(self.recipe, self.train) if of_files else moments(self.train)


@lru_cache(maxsize=1)
def _opened(fields: str, root: str | None) -> _Opened:
    """What a worker opened last: the stages of a sweep have the same images. `fields` of the recipe, as JSON."""
    recipe = DataRecipe(**json.loads(fields))
    train, test = _opener(recipe.name)(recipe, root)
    if recipe.name in FIXED:
        train, test = (
            _first(images, recipe.options.get("classes"), recipe.options.get(f"{part}_per_class"))
            for part, images in (("train", train), ("test", test))
        )
    train, test = (_resized(images, recipe.image_size) for images in (train, test))
    if recipe.holdout:
        train, test = _held_out(train, recipe.holdout, recipe.holdout_seed, recipe.fold)
    return _Opened(recipe, train, test)


def _opener(name: str) -> Callable[[DataRecipe, str | None], tuple[Images, Images]]:
    found: Callable[[DataRecipe, str | None], tuple[Images, Images]] = function_of(DATASETS[name].opens)
    return found


def _normalisation(recipe: DataRecipe, opened: _Opened) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The recipe's mean and standard deviation, else the published ones of the data set, else those of its images."""
    info = DATASETS[recipe.name]
    if recipe.mean and recipe.std:
        return recipe.mean, recipe.std
    if info.mean and info.std:
        return info.mean, info.std
    return opened.moments


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


def _held_out(train: Images, share: float, seed: int, fold: int | None = None) -> tuple[Images, Images]:
    """Split off `share` of each class's training images, at least one; they stand for the test images.

    With a fold, its part of as many as there are: 1/`share`, whose sizes differ by one at most. Together the folds are
    all training images, each once. Raises ValueError where a class has too few images for that.
    """
    rng = stream(seed, "holdout", 0)
    held = torch.zeros(len(train.labels), dtype=torch.bool)
    for label in train.labels.unique(sorted=True):
        positions = (train.labels == label).nonzero().flatten()
        drawn = positions[torch.randperm(len(positions), generator=rng)]
        if fold is None:
            held[drawn[: max(1, round(share * len(positions)))]] = True
            continue
        folds = round(1 / share)
        if len(drawn) < folds:
            raise ValueError(f"{len(drawn)} images of class {int(label)} make no {folds} folds")
        held[drawn[fold * len(drawn) // folds : (fold + 1) * len(drawn) // folds]] = True
    return train.take((~held).nonzero().flatten()), train.take(held.nonzero().flatten())
