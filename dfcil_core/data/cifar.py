"""CIFAR-10 and CIFAR-100: the same images in the same order, whether they lie there as the archive or as folders.

The archive has an order of its own, which image folders do not keep. So both are brought into one: by label, and within
a class by the SHA-256 of an image's pixels, as (3, 32, 32) bytes. (By the pixels themselves, the first images of a
class, which a spec can take alone, would be those with the darkest corner.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dfcil_core.config import DATA_VERSION, DataRecipe
from dfcil_core.data import DATASETS
from dfcil_core.data.archives import as_images, check_digest, of_torchvision
from dfcil_core.data.cache import cached_file, cached_text
from dfcil_core.data.cifar_files import ARCHIVES, list_cifar, remedy
from dfcil_core.data.errors import AbsentData, MissingData
from dfcil_core.data.folders import Listing

if TYPE_CHECKING:
    from dfcil_core.data.images import Images

_SIDE = 32
_THREADS = 4


def cifar(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """The training and the test images, from the archive if it is there, else from image folders, else downloaded.

    Raises MissingData, and DataMismatch when image folders hold other pixels than were published: known for CIFAR-100,
    while folders of CIFAR-10 are known by their class names, their number and their size alone.
    """
    folder = Path(root or "data").expanduser()
    try:
        listing = list_cifar(recipe.name, root)
    except AbsentData:
        listing = None
    return _of_folders(recipe, listing) if listing else _of_archive(recipe, folder)


def digest(train: Images, test: Images) -> str:
    """`sha256:...` over each image's label, a byte, and pixels, the training images first, all in their order here."""
    total = hashlib.sha256()
    for part in (train, test):
        pixels = part.pixels.numpy()
        for label, image in zip(part.labels.tolist(), pixels, strict=True):
            total.update(bytes([label]))
            total.update(image)
    return f"sha256:{total.hexdigest()}"


def _of_archive(recipe: DataRecipe, folder: Path) -> tuple[Images, Images]:
    # The archives hold pickles, the one exception to "never pickle": torchvision checks each file against its
    # published MD5 before it opens it, and so before anything in it can run.
    from torchvision import datasets

    opens, told = getattr(datasets, ARCHIVES[recipe.name].torchvision), remedy(recipe.name, folder)
    parts = []
    for train in (True, False):
        part = of_torchvision(opens, recipe, folder, train, told)
        pixels, labels = np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)), part.targets
        order = _order(pixels, labels)
        parts.append(as_images(pixels[order], np.array(labels)[order]))
    train, test = parts
    check_digest(recipe, _identity(recipe.name, lambda: digest(train, test)))
    return train, test


def _of_folders(recipe: DataRecipe, listing: Listing) -> tuple[Images, Images]:
    key = f"{recipe.name} in order {DATA_VERSION} {listing.root} {listing.fingerprint()}"
    parts = []
    for part, files in (("train", listing.train), ("test", listing.test)):
        path = cached_file(f"{key} {part}", lambda new, files=files: _decode(new, listing, files))
        labels = np.array([label for _, label in files])  # in order already: a class after the other
        # Copy on write: nobody writes, and torch asks for an array that could be written to.
        parts.append(as_images(np.load(path, mmap_mode="c"), labels))
    train, test = parts
    found = _identity(recipe.name, lambda: cached_text(f"digest {key}", lambda: digest(train, test)))
    check_digest(recipe, found, f". The images in {listing.root} must be the published ones, pixel for pixel")
    return train, test


def _identity(name: str, of_content: Callable[[], str]) -> str:
    """What the content is known by: its digest, where the catalogue has that of the pixels."""
    known = DATASETS[name].digest
    return of_content() if known.startswith("sha256:") else known


def _order(pixels: np.ndarray, labels: list[int]) -> list[int]:
    # Equal keys are equal images: which comes first makes no difference.
    keys = [(label, hashlib.sha256(image).digest()) for label, image in zip(labels, pixels, strict=True)]
    return sorted(range(len(keys)), key=keys.__getitem__)


def _decode(path: Path, listing: Listing, files: tuple[tuple[str, int], ...]) -> None:
    pixels = np.empty((len(files), 3, _SIDE, _SIDE), np.uint8)

    def decode(position: int) -> None:
        file = listing.root / files[position][0]
        with Image.open(file) as image:
            if image.size != (_SIDE, _SIDE):
                width, height = image.size
                raise MissingData(f"{file} is {width}x{height} pixels, and an image of CIFAR is {_SIDE}x{_SIDE}")
            pixels[position] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(decode, range(len(files))):
            pass
    with path.open("wb") as new:  # by its name alone, `np.save` would give it a suffix
        np.save(new, pixels[_order(pixels, [label for _, label in files])])
