"""Where the images come from: one function a data set, which gives its training and test part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from dfcil_core.config import DataRecipe
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
    _check_digest(recipe, "sha256:" + hashlib.sha256(values.tobytes() + labels.tobytes()).hexdigest())
    split = train_test_split(
        np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=DIGITS_SPLIT_SEED, shuffle=True
    )
    pixels = values[:, None].astype(np.float32) * (255 / 16)
    return tuple(_images(pixels[np.sort(part)], labels[np.sort(part)]) for part in split)


def cifar10(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """CIFAR-10 through torchvision."""
    return _cifar(recipe, root, "CIFAR10", "cifar-10-python.tar.gz", "cifar-10-batches-py")


def cifar100(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """CIFAR-100 through torchvision."""
    return _cifar(recipe, root, "CIFAR100", "cifar-100-python.tar.gz", "cifar-100-python")


def fashion_mnist(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """Fashion-MNIST through torchvision."""
    from torchvision import datasets

    folder = Path(root or "data").expanduser()
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    files = [f"{part}-ubyte.gz" for part in parts]
    remedy = f"put {', '.join(files)} into {folder / 'FashionMNIST' / 'raw'}"
    train, test = (_torchvision(datasets.FashionMNIST, recipe, folder, part, remedy) for part in (True, False))
    return tuple(_images(part.data.numpy()[:, None], part.targets.numpy()) for part in (train, test))


def _cifar(recipe: DataRecipe, root: str | None, name: str, archive: str, unpacked: str) -> tuple[Images, Images]:
    # The archives hold pickles, the one exception to "never pickle": torchvision checks each file against its
    # published MD5 before it opens it, and so before anything in it can run.
    from torchvision import datasets

    folder = Path(root or "data").expanduser()
    remedy = f"put {archive} into {folder}, or its unpacked folder {unpacked}"
    train, test = (_torchvision(getattr(datasets, name), recipe, folder, part, remedy) for part in (True, False))
    return tuple(_images(part.data.transpose(0, 3, 1, 2), np.array(part.targets)) for part in (train, test))


def _torchvision(dataset: Callable, recipe: DataRecipe, folder: Path, train: bool, remedy: str):
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


def _images(pixels: np.ndarray, labels: np.ndarray) -> Images:
    from dfcil_core.data.images import Images

    return Images(torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels.astype(np.int64)))


def _check_digest(recipe: DataRecipe, found: str) -> None:
    if recipe.digest != found:
        raise DataMismatch(f"{recipe.name}: the content's digest is {found}, the stage's identity says {recipe.digest}")


SOURCES: dict[str, Callable[[DataRecipe, str | None], tuple[Images, Images]]] = {
    "digits": digits,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "fashion-mnist": fashion_mnist,
    "tiny-imagenet": image_files,
    "folder": image_files,
    "synthetic": synthetic,
}

__all__ = ["SOURCES", "DataMismatch", "MissingData"]
