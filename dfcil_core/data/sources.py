"""Where the images come from: one function a data set, which gives its training and test part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcil_core.config import DataRecipe
from dfcil_core.data.archives import as_images, check_digest, of_torchvision
from dfcil_core.data.cifar import cifar
from dfcil_core.data.decoded import image_files
from dfcil_core.data.errors import DataMismatch, MissingData
from dfcil_core.data.synthetic import synthetic

if TYPE_CHECKING:
    from dfcil_core.data.images import Images

DIGITS_SPLIT_SEED = 0


def digits(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """scikit-learn's 1,797 handwritten digits: values 0..16 scaled to 0..255, a stratified 80/20 split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    values, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    check_digest(recipe, "sha256:" + hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest())
    split = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=DIGITS_SPLIT_SEED, shuffle=True
    )
    pixels = values[:, None].astype(np.float32) * (255 / 16)
    return tuple(as_images(pixels[np.sort(part)], labels[np.sort(part)]) for part in split)


def fashion_mnist(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """Fashion-MNIST through torchvision."""
    from torchvision import datasets

    folder = Path(root or "data").expanduser()
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [f"{part}-ubyte.gz" for part in parts]
    remedy = f"put {', '.join(files)} into {folder / 'FashionMNIST' / 'raw'}"
    train, test = (of_torchvision(datasets.FashionMNIST, recipe, folder, part, remedy) for part in (True, False))
    return tuple(as_images(part.data.numpy()[:, None], part.targets.numpy()) for part in (train, test))


SOURCES: dict[str, Callable[[DataRecipe, str | None], tuple[Images, Images]]] = {
    "digits": digits,
    "cifar10": cifar,
    "cifar100": cifar,
    "fashion-mnist": fashion_mnist,
    "tiny-imagenet": image_files,
    "folder": image_files,
    "synthetic": synthetic,
}

__all__ = ["SOURCES", "DataMismatch", "MissingData"]
