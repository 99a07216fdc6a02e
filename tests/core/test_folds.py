"""Folds part the training images: every one is held out once, and none of the test images is used."""

import pytest
import torch

from dfcil_core.config import DataRecipe
from dfcil_core.data.catalog import DATASETS
from dfcil_core.data.images import Images
from dfcil_core.data.open import _held_out, open_data


def recipe(**changed):
    return DataRecipe(name="digits", digest=DATASETS["digits"].digest, image_size=8, **changed)


def numbered(*counts):
    """Images that are their own positions, so many of each class."""
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    return Images(torch.arange(len(labels)).view(-1, 1, 1, 1), labels)


@pytest.mark.parametrize("folds", [2, 3, 5, 10])
def test_each_image_is_in_one_fold_and_the_classes_are_parted_evenly(folds):
    whole = numbered(10, 23, 17)
    parts = [_held_out(whole, 1 / folds, 0, fold) for fold in range(folds)]
    held = torch.cat([test.pixels.flatten() for _, test in parts])
    assert held.sort().values.tolist() == list(range(50))
    for train, test in parts:
        assert sorted([*train.pixels.flatten().tolist(), *test.pixels.flatten().tolist()]) == list(range(50))
    for label, count in enumerate((10, 23, 17)):
        sizes = {int((test.labels == label).sum()) for _, test in parts}
        assert sizes <= {count // folds, -(-count // folds)}


def test_a_class_with_too_few_images_is_not_parted():
    with pytest.raises(ValueError, match="4 images of class 1 make no 5 folds"):
        _held_out(numbered(9, 4), 0.2, 0, 0)


def test_what_is_held_out_is_of_the_training_images():
    whole = open_data(recipe(), None)
    parts = [open_data(recipe(holdout=0.2, fold=fold), None) for fold in range(5)]
    assert sum(len(part.test.labels) for part in parts) == len(whole.train.labels) == 1437
    training = {image.numpy().tobytes() for image in whole.train.pixels}
    assert {image.numpy().tobytes() for part in parts for image in part.test.pixels} == training
    # Normalised by what is trained on, and not by what is held out.
    assert len({part.mean for part in parts}) == 5


def test_without_a_fold_the_images_are_those_of_ever():
    held = open_data(recipe(holdout=0.1), None).test
    assert held.labels.bincount().tolist() == [14, 15, 14, 15, 14, 14, 14, 14, 14, 14]
