"""Image files as one array in the cache, decoded once and mapped into memory by every worker of the machine."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from dfcil_core.config import DATA_VERSION, DataRecipe
from dfcil_core.data.cache import cached_file, cached_text
from dfcil_core.data.folders import Listing, list_files
from dfcil_core.errors import DataMismatch, MissingData

if TYPE_CHECKING:
    from dfcil_core.data.images import Images

_THREADS = 4
_WHITE_8, _WHITE_16 = 255, 65535
_DECODING = 2  # hand-bumped when the same files are decoded to other pixels: what is in the cache is made anew


def image_files(recipe: DataRecipe, root: str | None) -> tuple[Images, Images]:
    """The training and the validation images of a data set of image files, as `square` makes them.

    Raises MissingData, and DataMismatch when names or contents are not those of the recipe's digest.
    """
    from dfcil_core.data.images import Images

    listing = list_files(recipe.name, root, recipe.options.get("classes"))
    found = listing.digest()
    if found != recipe.digest:
        raise DataMismatch(
            f"{recipe.name} in {listing.root}: the content's digest is {found}, the stage's identity says "
            f"{recipe.digest}: plan again, or give the folder that the sweep was planned with"
        )
    parts = []
    for part, files in (("train", listing.train), ("test", listing.test)):
        key = f"images {DATA_VERSION}.{_DECODING} {recipe.digest} {recipe.image_size} {part}"
        names = [name for name, _ in files]
        path = cached_file(key, partial(_decode, listing=listing, names=names, size=recipe.image_size))
        # Copy on write: nobody writes, and torch asks for an array that could be written to.
        pixels = torch.from_numpy(np.load(path, mmap_mode="c"))
        parts.append(Images(pixels, torch.tensor([label for _, label in files])))
    return parts[0], parts[1]


def moments(recipe: DataRecipe, train: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`images.moments` of these training images, remembered: gigabytes are not read again for every stage."""
    from dfcil_core.data.images import moments

    fold = "" if recipe.fold is None else f" fold {recipe.fold}"
    part = f"{recipe.holdout} {recipe.holdout_seed}{fold}"
    key = f"moments {DATA_VERSION}.{_DECODING} {recipe.digest} {recipe.image_size} {part}"
    mean, std = json.loads(cached_text(key, lambda: json.dumps(moments(train))))
    return tuple(mean), tuple(std)


def coloured(image: Image.Image) -> Image.Image:
    """An image in 8-bit colours. Greys of 16 bits are divided by 257; Pillow's own conversion would cut them at 255.

    Raises ValueError for numbers that say nothing of what is black and white.
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > _WHITE_16:
            raise ValueError(f"its greys go from {low} to {high}, and 16 bits hold 0 to {_WHITE_16}")
        # A PNG of this mode has 16 bits, however dark it is; of others, only the numbers tell.
        wide = image.mode != "I" or image.format == "PNG" or high > _WHITE_8
        values = np.rint(values / (_WHITE_16 / _WHITE_8)) if wide else values
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        numbers = np.asarray(image)
        least, most = float(numbers.min()), float(numbers.max())
        if not (least >= 0 and most <= _WHITE_8):
            raise ValueError(f"its numbers go from {least:g} to {most:g}, and must lie within 0 to 1, or 0 to 255")
        numbers = numbers * _WHITE_8 if most <= 1 else numbers
        return Image.fromarray(np.rint(numbers).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, size: int) -> Image.Image:
    """An image in colours, `size` pixels high and wide.

    One that is not so already: its shorter side is made 8/7 of `size` (256 for 224; bilinear, antialiased) and the
    middle cut out.
    """
    image = coloured(image)
    if image.size == (size, size):
        return image
    shorter = min(image.size)
    enlarged = max(size, round(size * 8 / 7))
    width, height = (max(size, round(side * enlarged / shorter)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


def _decode(path: Path, listing: Listing, names: list[str], size: int) -> None:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(names), 3, size, size))

    def decode(position: int) -> None:
        file = listing.root / names[position]
        try:
            with Image.open(file) as image:
                array[position] = np.asarray(square(image, size)).transpose(2, 0, 1)
        except Exception as error:  # what a decoder raises for bytes that are no image is as various as the bytes
            raise MissingData(f"{file} cannot be used as an image: {error}. Mend it, or take it away") from error

    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(decode, range(len(names))):
            pass
    array.flush()
