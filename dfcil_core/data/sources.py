"""The data sets that are neither CIFAR nor image files nor made: one function each, which the catalogue names."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dfcil_core.config import DataRecipe
from dfcil_core.data.archives import as_images, check_digest, of_torchvision
from dfcil_core.data.cifar_files import FASHION_MNIST_FILES

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
    train, test = (as_images(pixels[np.sort(part)], labels[np.sort(part)]) for part in split)
    return train, test


def fashion_mnist(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """Fashion-MNIST through torchvision."""
    from torchvision import datasets

    folder = Path(root or "data").expanduser()
    files = [f"{file}.gz" for file in FASHION_MNIST_FILES]
    remedy = f"put {', '.join(files)} into {folder / 'FashionMNIST' / 'raw'}"
    both = [of_torchvision(datasets.FashionMNIST, recipe, folder, is_train, remedy) for is_train in (True, False)]
    train, test = (as_images(part.data.numpy()[:, None], part.targets.numpy()) for part in both)
    return train, test
