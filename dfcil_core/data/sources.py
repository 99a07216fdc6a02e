"""The data sets that are neither CIFAR nor image files nor made: one function each, which the catalogue names."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import load, save

from dfcil_core.config import DataRecipe
from dfcil_core.data.archives import as_images, check_digest, of_torchvision
from dfcil_core.data.cache import cached_bytes
from dfcil_core.data.cifar_files import FASHION_MNIST_FILES

if TYPE_CHECKING:
    from dfcil_core.data.images import Images

DIGITS_SPLIT_SEED = 0


def digits(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """scikit-learn's 1,797 handwritten digits: values 0..16 scaled to 0..255, a stratified 80/20 split."""
    # scikit-learn takes a second to load, and every worker of a launch would wait for it.
    kept = load(cached_bytes(f"digits {version('scikit-learn')} {DIGITS_SPLIT_SEED}", _digits_and_split))
    values, labels = kept["values"], kept["labels"]
    check_digest(recipe, "sha256:" + hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest())
    pixels = values[:, None].astype(np.float32) * (255 / 16)
    train, test = (as_images(pixels[kept[part]], labels[kept[part]]) for part in ("train", "test"))
    return train, test


def _digits_and_split() -> bytes:
    """As safetensors: `values` (n, 8, 8) and `labels` (n,), the positions of the `train` and the `test` images."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    values, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=DIGITS_SPLIT_SEED, shuffle=True
    )
    return save({"values": values, "labels": labels, "train": np.sort(train), "test": np.sort(test)})


def fashion_mnist(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """Fashion-MNIST through torchvision."""
    from torchvision import datasets

    folder = Path(root or "data").expanduser()
    files = [f"{file}.gz" for file in FASHION_MNIST_FILES]
    remedy = f"put {', '.join(files)} into {folder / 'FashionMNIST' / 'raw'}"
    both = [of_torchvision(datasets.FashionMNIST, recipe, folder, is_train, remedy) for is_train in (True, False)]
    train, test = (as_images(part.data.numpy()[:, None], part.targets.numpy()) for part in both)
    return train, test
