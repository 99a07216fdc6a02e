"""Synthetic images: as many and as large as asked for, the same everywhere, and their classes can be told apart."""

import hashlib

import torch

from dfcil_core.config import DataRecipe
from dfcil_core.data.catalog import synthetic_info
from dfcil_core.data.open import open_data


def images(size=8, **counts):
    info = synthetic_info(**counts)
    return open_data(DataRecipe("synthetic", info.digest, size, options=info.options), None)


def test_as_many_and_as_large_as_asked_for():
    data = images(24, classes=7, train_per_class=3, test_per_class=2)
    assert data.train.pixels.shape == (21, 3, 24, 24) and data.train.pixels.dtype == torch.uint8
    assert data.train.labels.bincount().tolist() == [3] * 7 and data.test.labels.bincount().tolist() == [2] * 7


def test_the_same_images_on_every_machine():
    data = images(8, classes=3, train_per_class=2, test_per_class=1)
    digest = hashlib.sha256(data.train.pixels.numpy().tobytes() + data.test.pixels.numpy().tobytes()).hexdigest()
    # Other images for the same options need another dfcil_core.data.SYNTHETIC_VERSION.
    assert (synthetic_info().digest, digest[:16]) == ("synthetic:1", "19c3610513852b5d")


def test_fewer_images_are_the_first_of_more():
    few, many = (images(8, classes=3, train_per_class=count, test_per_class=1) for count in (2, 5))
    assert torch.equal(few.train.pixels, many.train.pixels[:6]) and torch.equal(few.test.pixels, many.test.pixels)


def test_classes_can_be_told_apart_and_no_test_image_is_a_training_image():
    data = images(16, classes=20, train_per_class=10, test_per_class=5)
    train, test = (part.pixels.float().flatten(1) for part in (data.train, data.test))
    means = torch.stack([train[data.train.labels == label].mean(0) for label in range(20)])
    nearest = torch.cdist(test, means).argmin(1)
    assert (nearest == data.test.labels).float().mean() > 0.95
    assert torch.cdist(test, train).min() > 0
